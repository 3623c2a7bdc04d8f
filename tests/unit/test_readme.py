"""What the README shows must work as it stands there."""

import re
from pathlib import Path
from types import ModuleType

from rankscope.app.cli import build
from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.contract import Apply, ModuleState, RankPlanner, View

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
    named = set(re.findall(r"`(?:rankscope )?([a-z]+)(?: [A-Z\[][^`]*)?`", _commands_table()))
    registered = {
        command.name or command.callback.__name__
        for command in build().registered_commands
        if command.callback is not None
    }
    assert registered == named & registered
    assert named - registered <= {"json", "table"}


def _commands_table() -> str:
    start = README.index("## Commands")
    return README[start : README.index("Exit codes", start)]
