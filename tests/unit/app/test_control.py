"""``rankscope submit``, ``stop`` and ``resume`` without workers and without Redis."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.storage.database import open_database
from rankscope.storage.queue import claim_next
from rankscope.storage.queue_order import queue_listing
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from tests.unit.app.past_runs import PastRuns

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path, empty_home: None, monkeypatch: pytest.MonkeyPatch) -> str:
    del empty_home
    monkeypatch.delenv("REDIS_URL", raising=False)
    file = tmp_path / "run.yaml"
    file.write_text("data: {kind: scenes}\nseed: 5\n")
    return str(file)


def submitted(call: Call, config: str, *options: str) -> list[str]:
    code, said, complained = call("submit", config, *options)
    assert code == 0
    assert "no worker of queue default is alive" in complained
    return said.split()


def test_seeds_are_counted_up_from_the_configs_own(call: Call, config: str) -> None:
    runs = submitted(call, config, "--seeds", "3", "--priority", "2", "--set", "training.steps=7")
    waiting = queue_listing(open_database(Settings().database_url))
    assert [(run.id, run.seed, run.priority, run.num_steps) for run in waiting] == [
        (run_id, seed, 2, 7) for run_id, seed in zip(runs, (5, 6, 7), strict=True)
    ]


def test_a_waiting_run_stops_at_once_and_goes_back_to_the_queue(call: Call, config: str) -> None:
    (run_id,) = submitted(call, config)
    assert call("stop", run_id[:8]) == (0, f"{run_id} stopped\n", "")
    code, _, complained = call("stop", run_id)
    assert (code, complained.count("\n")) == (2, 1)
    assert f"got {run_id} which is stopped" in complained
    assert call("resume", run_id) == (0, f"{run_id} waits in the queue\n", "")
    code, _, complained = call("resume", run_id)
    assert code == 2
    assert f"got {run_id} which is queued" in complained


def test_a_live_run_is_asked_to_stop(call: Call, config: str, answer_of: Any) -> None:
    (run_id,) = submitted(call, config)
    engine = open_database(Settings().database_url)
    claim_next(engine, ["default"], worker_id="w", lease_s=30)
    assert answer_of("stop", run_id, "--json") == {"run": run_id, "status": "starting"}
    assert call("stop", run_id) == (0, f"{run_id} starting; it stops at its next step\n", "")
    assert get_run(engine, run_id).status == "starting"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "Invalid value for '--seeds'"),
        (["--seeds", "101"], "Invalid value for '--seeds'"),
        (["--priority", "10"], "Invalid value for '--priority'"),
        (["--seeds", "2", "--set", "seed=4294967295"], "seed must be at most"),
        (["--set", "lora.targets=zzz"], "lora.targets must match"),
    ],
)
def test_nothing_is_submitted_on_bad_input(
    call: Call, config: str, options: list[str], message: str
) -> None:
    code, said, complained = call("submit", config, *options)
    assert (code, said) == (2, "")
    assert message in complained
    assert call("runs")[1].startswith("no runs yet")


def test_a_run_that_is_done_is_neither_stopped_nor_resumed(call: Call, past_runs: PastRuns) -> None:
    for verb in ("stop", "resume"):
        code, _, complained = call(verb, past_runs.uniform[0])
        assert code == 2
        assert "which is done" in complained
