"""Exit codes and one-line messages of the command line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.app.past_runs import PastRuns

Call = Callable[..., tuple[int, str, str]]

REFUSED = [
    (["fly"], "No such command 'fly'; see: rankscope --help"),
    (["--fast"], "No such option: --fast; see: rankscope --help"),
    (["plan", "x.yaml", "--xyz"], "No such option: --xyz; see: rankscope plan --help"),
    (["plan"], "Missing argument 'CONFIG.yaml'; see: rankscope plan --help"),
    (["run"], "Missing argument 'CONFIG.yaml'; see: rankscope run --help"),
    (["compare"], "Missing argument 'RUN...'; see: rankscope compare --help"),
    (["replay", "x"], "Missing option '--scheduler'; see: rankscope replay --help"),
    (["worker", "--gpu", "seven"], "--gpu must be "),
    (["worker", "--gpu", "0,0"], "--gpu must be "),
    (["runs", "more"], "unexpected extra argument(s) (more); see: rankscope runs --help"),
    (["runs", "--limit", "0"], "Invalid value for '--limit'"),
    (["runs", "--status", "broken"], "--status must be one of queued, starting, running,"),
    (["compare", "x", "--format", "xml"], "Invalid value for '--format'"),
    (["plan", "no/such.yaml"], "the config must be a readable file, got no/such.yaml"),
    (["run", "no/such.yaml"], "the config must be a readable file, got no/such.yaml"),
    (["show", "zzz"], "RUN must be the start of a run's id, got 'zzz' which no run has"),
    (["show", ""], "RUN must be the start of a run's id, got ''"),
    (["logs", "zzz"], "got 'zzz' which no run has; see them with: rankscope runs"),
    (["resume", "zzz"], "got 'zzz' which no run has; see them with: rankscope runs"),
    (["compare", "zzz"], "got 'zzz' which no run has; see them with: rankscope runs"),
    (["export", "zzz", "--to", "out"], "got 'zzz' which no run has"),
    (["replay", "zzz", "--scheduler", "hydra"], "got 'zzz' which no run has"),
    (["replay", "zzz", "--scheduler", "hidra"], "scheduler.kind must be one of 'uniform',"),
    (["replay", "zzz", "--scheduler", "full"], "got 'zzz' which no run has"),
]


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize(
    ("arguments", "message"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED]
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(
    call: Call, arguments: list[str], message: str
) -> None:
    code, said, complained = call(*arguments)
    assert (code, said) == (2, "")
    assert complained.startswith("error: ")
    assert complained.count("\n") == 1
    assert message in complained


BAD_CONFIGS = [
    (
        "training.num_processes=5",
        "batch_size must be a multiple of num_processes=5, which share a batch out",
    ),
    (
        "training={num_processes: 2, device: 'cuda:1'}",
        "device must be auto, cpu or cuda for num_processes=2, got cuda:1",
    ),
    ("optimizer.lr=0", "optimizer.lr must be above 0, got 0; raise it"),
    ("optimizer.lr=1.5", "optimizer.lr must be at most 1, got 1.5; lower it"),
    ("seed=4294967296", "seed must be at most 4,294,967,295"),
    ("lora.targets=gate", "lora.targets must match the last path component"),
    ("lora.targets='('", "lora.targets must be a regular expression, got '('"),
    ("budget={unit: params, value: 3}", "budget must pay for rank 1 on at least one module"),
    ("lora.min_rank=2", "budget must pay for lora.min_rank=2 on every module"),
    ("scheduler={kind: static, where: pattern, pattern: zzz}", "pattern 'zzz' selects none"),
    ("data.kind=gqa", "data.kind must be one of"),
    ("seed", "an override must read key.key=value, got 'seed'"),
]


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("override", "message"), BAD_CONFIGS)
def test_a_config_that_could_not_run_is_refused_and_leaves_no_run(
    call: Call,
    answer_of: Callable[..., dict[str, object]],
    tmp_path: Path,
    command: str,
    override: str,
    message: str,
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("data: {kind: easy_vqa}\n", encoding="utf-8")
    code, said, complained = call(command, str(path), "--set", override)
    assert (code, said) == (2, "")
    assert complained.count("\n") == 1
    assert message in complained
    assert answer_of("runs", "--json") == {"runs": []}


def test_the_start_of_an_id_that_fits_several_runs_is_refused(
    call: Call, past_runs: PastRuns
) -> None:
    shared = past_runs.uniform[0][:3]
    code, _, complained = call("show", shared)
    assert code == 2
    assert f"got '{shared}' which fits " in complained
    assert complained.endswith("; give more characters\n")


def test_an_export_never_writes_into_a_folder_that_holds_something(
    call: Call, past_runs: PastRuns, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    for to in (tmp_path, tmp_path / "mine.txt"):
        code, _, complained = call("export", past_runs.uniform[0], "--to", str(to))
        assert code == 2
        assert (
            complained == f"error: --to must be a new or empty folder, got {to}; choose another\n"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_command(call: Call, arguments: list[str]) -> None:
    code, said, _ = call(*arguments)
    assert code == 0
    commands = "run resume plan runs show logs compare replay freeze export doctor"
    assert all(f" {command} " in said for command in commands.split())


@pytest.mark.usefixtures("empty_home")
def test_an_unusable_database_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    code, _, complained = call("runs")
    assert code == 2
    assert complained.count("\n") == 1


def test_the_command_line_needs_neither_torch_nor_a_web_framework() -> None:
    """In a fresh interpreter, everything imported that a command could need before it works."""
    heavy = ["torch", "transformers", "peft", "accelerate", "gradio", "plotly", "celery"]
    code = (
        "import sys; import rankscope.app.cli; rankscope.app.cli.build(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
