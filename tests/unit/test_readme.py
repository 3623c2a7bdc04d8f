"""What the README shows must work as it stands there."""

import re
from pathlib import Path
from types import ModuleType

from rankscope.app.cli import build
from rankscope.app.settings import WebSettings
from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.contract import Apply, ModuleState, RankPlanner, View
from rankscope.storage.settings import Settings
from rankscope.tasks.settings import WorkerSettings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_scheduler_in_the_readme_halves_ranks() -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    module = ModuleType("readme")
    exec(compile(code[1], "README.md", "exec"), module.__dict__)  # noqa: S102 - our own text
    planner = module.Halving(period_steps=10)
    assert isinstance(planner, RankPlanner)
    assert planner.decision_steps(35) == (10, 20, 30)
    place = AdaptableModule(
        name="layers.0.up", part="language", layer=0, type="up", d_in=4, d_out=8
    )
    state = ModuleState(**place.model_dump(), rank=5, min_rank=1, max_rank=8, pinned=False)
    view = View(step=10, num_steps=35, budget=60, seed=0, modules=(state,))
    decision, memory = planner.plan(view, {})
    assert isinstance(decision, Apply)
    assert decision.ranks == {"layers.0.up": 2}
    assert memory == {}


def test_the_readme_names_every_command_and_no_other() -> None:
    named = set(re.findall(r"`(?:rankscope )?([a-z-]+)(?: [A-Z\[][^`]*)?`", _commands_table()))
    registered = {
        command.name or command.callback.__name__.replace("_", "-")
        for command in build().registered_commands
        if command.callback is not None
    }
    assert registered == named & registered
    assert named - registered <= {"json", "table"}


def test_the_readme_names_every_group_of_commands() -> None:
    groups = {group.name for group in build().registered_groups}
    assert groups == {"user"}
    assert "`rankscope user add NAME --role ROLE`" in _commands_table()
    assert "`user token NAME`" in _commands_table()


def test_the_readme_has_every_setting_with_its_default() -> None:
    table = README[README.index("## Settings") : README.index("## One box")]
    named = set(re.findall(r"`([A-Z_]+)`", table.split("|---|", 1)[1]))
    of_process = {name.upper() for name in Settings.model_fields}
    prefixed = (*WebSettings.model_fields, *WorkerSettings.model_fields)
    assert named == of_process | {f"RANKSCOPE_{name.upper()}" for name in prefixed}
    for name, field in WorkerSettings.model_fields.items():
        (row,) = (line for line in table.splitlines() if f"`RANKSCOPE_{name.upper()}`" in line)
        assert f"{field.default}" in row.split("|")[2]


def test_the_two_commands_of_the_readme_are_in_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def _commands_table() -> str:
    start = README.index("## Commands")
    return README[start : README.index("Exit codes", start)]
