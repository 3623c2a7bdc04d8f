import re
import shutil
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.models.events import LogLine
from rankscope.storage import history
from rankscope.storage.artifacts import list_artifacts
from rankscope.storage.database import migrate, open_database
from rankscope.storage.errors import FencedOutError, StorageError
from rankscope.storage.runs import begin_attempt, fail_run, get_run, request_control
from rankscope.storage.sink import Sink
from tests.helpers.postgres import PostgresServer
from tests.integration.storage.examples import (
    checkpoint,
    decided,
    evaluated,
    inventory,
    measured,
    new_run,
    new_sink,
    ranks_changed,
    resumed,
    sampled,
    status,
    step_done,
)


def steps_of(engine: Engine, run_id: str) -> list[int]:
    return [int(step) for step in history.metrics(engine, run_id)["step"]]


def test_everything_a_run_says_is_read_back_as_it_was_said(engine: Engine) -> None:
    run_id = new_run(engine)
    correct = [True, False, True] * 7
    with new_sink(engine, run_id) as sink:
        sink.emit(status("running", reason="training"))
        sink.emit(ranks_changed(0, {0: 2, 1: 2, 2: 2}, cause="start", moved=0))
        sink.emit(sampled(0, 48))
        sink.emit(step_done(1))
        sink.emit(step_done(2, loss=float("nan")))
        sink.emit(measured(2))
        sink.emit(decided(2))
        sink.emit(ranks_changed(2, {1: 0, 2: 300}))
        sink.emit(evaluated(2, correct, when="during", part="validation"))
        sink.emit(LogLine(step=2, time=0.0, level="info", text="a\0b"))
    metrics = history.metrics(engine, run_id)
    assert metrics["step"].tolist() == [1, 2]
    assert metrics["loss"].tolist()[0] == 1.5
    assert metrics[["loss", "grad_norm"]].isna().to_numpy().tolist() == [
        [False, True],
        [True, True],
    ]
    names = [f"model.layers.{i}.q_proj" for i in range(3)]
    assert history.rank_map(engine, run_id) == dict(zip(names, [2, 0, 300], strict=True))
    assert history.rank_map(engine, run_id, step=1) == dict.fromkeys(names, 2)
    changes = history.rank_history(engine, run_id)
    assert changes[["step", "rank"]].to_numpy().tolist() == [
        [0, 2],
        [0, 2],
        [0, 2],
        [2, 0],
        [2, 300],
    ]
    assert changes["module"].tolist() == [*names, *names[1:]]
    assert str(history.decisions(engine, run_id)) == str([decided(2)])  # str: NaN equals NaN
    assert str(history.measurements(engine, run_id)) == str([measured(2)])
    [evaluation] = history.evaluations(engine, run_id)
    assert np.array_equal(evaluation.correct, correct)
    assert evaluation.accuracy_by_skill == {"shape": 1.0, "colour": 0.5}
    assert evaluation.loss == 0.25
    assert history.log_lines(engine, run_id)["text"].tolist() == ["a\N{REPLACEMENT CHARACTER}b"]
    run = get_run(engine, run_id)
    assert (run.status, run.status_reason, run.step) == ("running", "training", 2)
    assert run.last_event_id == (1 << 32) + 10


def test_the_row_of_the_run_follows_what_the_run_says(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(status("running"))
        for number, live in enumerate([48, 64, 32]):
            sink.emit(sampled(1, live, number))
        sink.flush()
        assert get_run(engine, run_id).max_live_params == 64
        sink.emit(ranks_changed(2, {0: 1}, live=32))
        sink.emit(status("done", step=9))
    run = get_run(engine, run_id)
    assert (run.status, run.max_live_params, run.final_params) == ("done", 64, 32)
    assert run.started_at is not None
    assert run.ended_at is not None
    assert (run.ended_at - run.started_at).total_seconds() == 9
    assert run.lease_until is None


def test_a_resumed_run_keeps_nothing_from_after_its_checkpoint(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id, lease_s=-1) as sink:
        for step in range(1, 5):
            sink.emit(step_done(step))
            sink.emit(decided(step))
            sink.emit(ranks_changed(step, {0: step}))
            sink.emit(sampled(step, 10 * step))
            sink.emit(evaluated(step, [True], when="during", part="validation"))
            sink.emit(checkpoint(step))
            sink.emit(measured(step))  # came after the checkpoint: step 2's must go too
    with new_sink(engine, run_id) as sink:
        sink.emit(resumed(2, attempt=2))
        sink.emit(step_done(3, loss=9.0))
        sink.emit(ranks_changed(2, {1: 7}, cause="observed"))
        sink.emit(measured(2))
    metrics = history.metrics(engine, run_id)
    assert metrics[["step", "loss"]].to_numpy().tolist() == [[1, 1.5], [2, 1.5], [3, 9.0]]
    assert [d.step for d in history.decisions(engine, run_id)] == [1, 2]
    assert [m.step for m in history.measurements(engine, run_id)] == [1, 2]
    assert [e.step for e in history.evaluations(engine, run_id)] == [1, 2]
    assert history.rank_changes(engine, run_id)["step"].tolist() == [1, 2, 2]
    assert list(history.rank_map(engine, run_id).values()) == [2, 7]
    assert [a.step for a in list_artifacts(engine, run_id)] == [1, 2]
    assert get_run(engine, run_id).max_live_params == 20


def test_a_run_resumed_from_the_start_keeps_nothing(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id, lease_s=-1) as sink:
        sink.emit(ranks_changed(0, {0: 1}, cause="start"))
        sink.emit(evaluated(0, [True], when="before"))
        sink.emit(step_done(1))
    assert history.has_score(engine, run_id, part="test", when="before")
    with new_sink(engine, run_id) as sink:
        sink.emit(resumed(0, attempt=2, from_start=True))
    assert not history.has_score(engine, run_id, part="test", when="before")
    assert history.rank_map(engine, run_id) == {}
    assert steps_of(engine, run_id) == []


def test_an_older_attempt_is_refused_and_stops(engine: Engine) -> None:
    run_id = new_run(engine)
    old = new_sink(engine, run_id, lease_s=-1)
    old.emit(step_done(1))
    old.flush()
    begin_attempt(engine, run_id, worker_id="b", lease_s=30)
    old.emit(step_done(2))
    with pytest.raises(FencedOutError, match="newer attempt"):
        old.flush()
    assert isinstance(old.failure, FencedOutError)
    with pytest.raises(FencedOutError):
        old.close()
    assert steps_of(engine, run_id) == [1]


def test_a_run_closed_by_others_takes_no_more(engine: Engine) -> None:
    run_id = new_run(engine)
    sink = new_sink(engine, run_id)
    fail_run(engine, run_id, "the trainer died")
    sink.emit(status("done"))
    with pytest.raises(FencedOutError):
        sink.close()
    assert get_run(engine, run_id).status_reason == "the trainer died"


def test_lines_may_follow_the_end_that_the_run_itself_recorded(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(status("done"))
        sink.flush()
        sink.emit(LogLine(step=1, time=0.0, level="info", text="bye"))
    assert history.log_lines(engine, run_id)["text"].tolist() == ["bye"]
    assert get_run(engine, run_id).lease_until is None


def test_a_quiet_run_keeps_its_lease_and_hears_requests(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id, lease_s=0.6) as sink:
        request_control(engine, run_id, "checkpoint")
        request_control(engine, run_id, "stop")
        time.sleep(1.5)
        lease_until = get_run(engine, run_id).lease_until
        assert lease_until is not None
        assert lease_until > datetime.now(UTC)
        assert [sink.take_request() for _ in range(3)] == ["stop", "checkpoint", None]


def test_emitting_never_waits_for_the_database(sqlite_engine: Engine, tmp_path: Path) -> None:
    run_id = new_run(sqlite_engine)
    blocker = sqlite3.connect(tmp_path / "alone.db", isolation_level=None)
    with new_sink(sqlite_engine, run_id) as sink:
        sink.flush()
        blocker.execute("BEGIN IMMEDIATE")
        started_s = time.perf_counter()
        for step in range(1, 12_001):
            sink.emit(step_done(step))
        assert time.perf_counter() - started_s < 1.0
        time.sleep(2.0)
        assert sink.failure is None
        blocker.execute("COMMIT")
        blocker.close()
    assert steps_of(sqlite_engine, run_id) == list(range(1, 12_001))


def test_a_database_locked_for_longer_than_it_waits_is_tried_again(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/short.db", busy_timeout_s=0.05)
    migrate(engine)
    run_id = new_run(engine)
    blocker = sqlite3.connect(tmp_path / "short.db", isolation_level=None)
    with new_sink(engine, run_id) as sink:
        sink.flush()
        blocker.execute("BEGIN IMMEDIATE")
        for step in range(1, 41):
            sink.emit(step_done(step))
            sink.emit(ranks_changed(step, {0: step}))
            time.sleep(0.01)
        time.sleep(1.6)
        assert steps_of(engine, run_id) == []
        blocker.execute("COMMIT")
        blocker.close()
    assert steps_of(engine, run_id) == list(range(1, 41))
    assert history.rank_history(engine, run_id)["rank"].tolist() == list(range(1, 41))
    engine.dispose()


def test_closing_while_the_database_stays_locked_ends_in_time_and_says_so(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/short.db", busy_timeout_s=0.05)
    migrate(engine)
    sink = new_sink(engine, new_run(engine))
    sink.flush()
    blocker = sqlite3.connect(tmp_path / "short.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    sink.emit(step_done(1))
    with pytest.raises(StorageError, match="locked"):
        sink.close(timeout_s=0.3)
    blocker.close()
    engine.dispose()


def test_a_restart_of_postgresql_in_mid_run_loses_nothing(
    postgres: PostgresServer, clean_postgres: str
) -> None:
    engine = open_database(clean_postgres)
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        for step in range(1, 301):
            sink.emit(step_done(step))
            sink.emit(ranks_changed(step, {0: step}))
            if step == 100:
                sink.flush()
                postgres.stop()
            if step == 200:
                postgres.start()
            time.sleep(0.005)
        assert sink.failure is None
    assert steps_of(engine, run_id) == list(range(1, 301))
    assert history.rank_history(engine, run_id)["rank"].tolist() == list(range(1, 301))
    engine.dispose()


def test_what_does_not_fit_ends_the_recording_and_fails_the_run(engine: Engine) -> None:
    run_id = new_run(engine)
    sink = new_sink(engine, run_id)
    sink.emit(step_done(1))
    sink.flush()
    sink.emit(ranks_changed(1, {99: 1}))
    sink.emit(step_done(2))
    for wait in (sink.flush, sink.close):
        with pytest.raises(StorageError, match=r"model\.layers\.99"):
            wait()
    assert steps_of(engine, run_id) == [1]
    assert get_run(engine, run_id).status == "failed"


def test_a_closed_sink_takes_no_events(sqlite_engine: Engine) -> None:
    sink = new_sink(sqlite_engine, new_run(sqlite_engine))
    sink.close()
    sink.close()
    with pytest.raises(RuntimeError, match="closed"):
        sink.emit(step_done(1))


def test_a_batch_whose_acknowledgement_was_lost_may_be_written_again(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(step_done(1))
        sink.emit(ranks_changed(1, {0: 1}))
        sink.emit(status("done"))
    repeat = Sink(engine, run_id, 1, inventory())
    repeat.emit(step_done(1))
    repeat.emit(ranks_changed(1, {0: 1}))
    repeat.emit(status("done"))
    repeat.close()
    assert len(history.rank_changes(engine, run_id)) == 1


def test_a_killed_process_loses_no_more_than_one_interval(engine: Engine, url: str) -> None:
    script = [sys.executable, "-m", "tests.integration.storage.scripts.run_until_killed", url]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    lines = [process.stdout.readline() for _ in range(60)]  # one per step, 20 ms apart
    process.kill()
    emitted = int(lines[-1])
    process.stdout.close()
    process.wait()
    steps = steps_of(engine, run_id)
    assert steps == list(range(1, len(steps) + 1))
    assert emitted - len(steps) < 40  # 0.2 s between transactions, generously for a busy machine


def test_a_full_disk_ends_the_recording_and_keeps_what_was_written(tmp_path: Path) -> None:
    script = f"{sys.executable} -m tests.integration.storage.scripts.fill_disk {tmp_path}"
    mount = f"mount -t tmpfs -o size=1500k tmpfs {tmp_path}"
    in_name_space = ["unshare", "-rm", "sh", "-c"]
    if shutil.which("unshare") and _runs([*in_name_space, mount]):
        command = [*in_name_space, f"{mount} && {script}"]
    else:  # no right to mount: the largest file may have 1.5 MB
        command = ["sh", "-c", f"{script} 1500000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, is_readable = done.stdout.splitlines()[-2:]
    assert re.search("full|disk I/O error", message)
    assert "free its disk" in message
    assert is_readable == "readable"


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
