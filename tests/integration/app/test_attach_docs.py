"""What docs/attach.md shows works as it stands there: a stranger who follows it gets through."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from rankscope.models.schedulers import PLANNERS, AnyScheduler
from rankscope.storage.history import rank_map
from tests.helpers.stack import Stack
from tests.unit.tasks.scripts_adalora import pruned
from tests.unit.tasks.scripts_trainer import Texts, adapted, trainer_of

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "attach.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
ATTACH, CLIENT = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
URL = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # not tmp_path: a Unix socket's path must be short
    with tempfile.TemporaryDirectory(prefix="rankscope-ad-") as home:
        made = Stack(Path(home), num_slots=0)
        with made:
            yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a stranger stands: the clone's docs, and a checkpoint of peft's."""
    made = tmp_path_factory.mktemp("stranger")
    (made / "docs").symlink_to(ROOT / "docs")
    with pytest.warns(UserWarning, match="invalid shape"):  # one module was pruned to nothing
        pruned().save_pretrained(str(made / "my-adalora"))
    return made


def shell(stack: Stack, folder: Path, command: str, *, typed: str = "", token: str = "") -> str:
    """A command of the text in the environment that it installs; returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", command.replace(URL, stack.url)],
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        env=stack.command.environment | {"PATH": path, "RANKSCOPE_TOKEN": token},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(code: str, stack: Stack, **given: Any) -> dict[str, Any]:
    names = dict(given)
    exec(compile(code.replace(URL, stack.url), "docs/attach.md", "exec"), names)  # noqa: S102 - ours
    return names


@pytest.fixture(scope="module")
def told(stack: Stack, folder: Path) -> str:
    """The commands one after the other; what has tests of its own (up, the Makefile) apart."""
    install, up, accounts, example, adalora = SHELL
    assert install.splitlines() == ["make setup", ". .venv/bin/activate"]
    assert up.splitlines() == ["rankscope up"]
    printed = shell(stack, folder, f"{example.strip()} --steps 40")
    assert f"page: {stack.url}/run?run=" in printed  # on its own machine nobody signs in
    assert "parameters: " in printed
    assert shell(stack, folder, adalora).split()[1:5] == ["holds", "the", "ranks", "of"]
    add, make_token = accounts.splitlines()
    shell(stack, folder, f"{add} --password-stdin", typed="correct horse battery\n")
    return shell(stack, folder, make_token).strip()


def test_the_blocks_of_python_work_with_the_token_that_the_commands_made(
    stack: Stack, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_TOKEN", told)
    monkeypatch.chdir(tmp_path)
    model = adapted()
    trainer = trainer_of(model, tmp_path / "out")
    given = {"trainer": trainer, "model": model, "held_out": Texts(64, seed=5)}
    attached = run_python(ATTACH, stack, **given)["attached"]
    assert (attached.ended, attached.not_recorded) == ("done", None)
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
    assert run_python(CLIENT, stack)["newest"] == attached.run_id
    assert rank_map(stack.engine, attached.run_id) == attached.ranks()


def test_the_text_names_every_planner_and_every_one_that_is_refused() -> None:
    which = TEXT[TEXT.index("## Which planners") : TEXT.index("## What is sent")]
    kinds = {planner.model_fields["kind"].default for planner in PLANNERS}
    first, refused = which.split("need\n`probe`.")
    assert set(re.findall(r'`"(\w+)"`', first)) == kinds
    schedulers = get_args(get_args(AnyScheduler)[0])
    alone = {one.model_fields["kind"].default for one in schedulers} - kinds
    assert set(re.findall(r"`(\w+)`", refused.split(" train by themselves")[0])) == alone
