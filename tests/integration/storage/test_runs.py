from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from rankscope.storage.errors import RunRefusedError, UnknownRunError
from rankscope.storage.runs import (
    Parent,
    RunFilter,
    begin_attempt,
    create_run,
    fail_abandoned_foreground_runs,
    fail_run,
    get_run,
    list_runs,
    request_control,
    resolve_run,
    set_inventory,
    take_control,
)
from tests.integration.storage.examples import (
    config,
    evaluated,
    in_processes,
    inventory,
    new_run,
    new_sink,
    status,
)

RACE = """
from rankscope.models.reading import parse_config
from rankscope.storage.database import open_database
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import begin_attempt, create_run
config = parse_config({"data": {"kind": "easy_vqa"}})
engine = open_database(sys.argv[1])
wait()
for key in "abcdefghij":
    run_id = create_run(engine, config, origin="queue", owner="ada", idempotency_key=key)
    try:
        print(run_id, begin_attempt(engine, run_id, worker_id="w", lease_s=30), sep=":")
    except RunRefusedError:
        print(run_id, "refused", sep=":")
"""


def test_of_racing_processes_one_creates_the_run_of_a_key_and_one_begins_its_attempt(
    engine: Engine, url: str
) -> None:
    printed = in_processes(RACE, [[url]] * 2)
    answers = [[line.split(":") for line in lines.split()] for lines in printed]
    for one_key in zip(*answers, strict=True):
        assert len({run_id for run_id, _ in one_key}) == 1
        assert sorted(attempt for _, attempt in one_key) == ["1", "refused"]
    assert len(list_runs(engine)) == 10


def test_a_key_of_another_config_is_refused(engine: Engine) -> None:
    create_run(engine, config(), origin="queue", owner="ada", idempotency_key="k")
    with pytest.raises(RunRefusedError, match="use a new key"):
        create_run(engine, config(seed=1), origin="queue", owner="ada", idempotency_key="k")


def test_an_id_that_is_taken_is_drawn_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["0000000001", "0000000001", "0000000002"])
    monkeypatch.setattr("rankscope.storage.runs.new_id", lambda: next(drawn))
    assert [new_run(engine), new_run(engine)] == ["0000000001", "0000000002"]


def test_a_new_run_reads_back_as_it_was_given(engine: Engine) -> None:
    parent = new_run(engine)
    given = config(name="ünïcode", tags=["a", "b"], seed=7)
    run_id = create_run(engine, given, origin="queue", owner="ada", parent=Parent(parent, 50))
    run = get_run(engine, run_id)
    assert (run.config, run.parent, run.status) == (given, (parent, 50), "queued")
    assert run.created_at.tzinfo is not None
    assert abs(run.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_run_of_an_unknown_parent_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownRunError, match="nobody"):
        create_run(engine, config(), origin="queue", owner="ada", parent=Parent("nobody", 0))
    assert list_runs(engine).empty


def test_a_live_run_is_refused_until_its_lease_expires(engine: Engine) -> None:
    run_id = new_run(engine)
    assert begin_attempt(engine, run_id, worker_id="a", lease_s=30) == 1
    with pytest.raises(RunRefusedError, match="attempt 1"):
        begin_attempt(engine, run_id, worker_id="b", lease_s=30)
    other = new_run(engine)
    assert begin_attempt(engine, other, worker_id="a", lease_s=-1) == 1
    assert begin_attempt(engine, other, worker_id="b", lease_s=30) == 2


def test_a_done_run_cannot_begin_again_but_a_failed_one_can(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(status("done"))
    with pytest.raises(RunRefusedError, match="fork it"):
        begin_attempt(engine, run_id, worker_id=None, lease_s=30)
    other = new_run(engine)
    begin_attempt(engine, other, worker_id=None, lease_s=30)
    assert fail_run(engine, other, "killed")
    assert begin_attempt(engine, other, worker_id=None, lease_s=30) == 2
    assert get_run(engine, other).ended_at is None


def test_failing_a_run_that_ended_changes_nothing(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(status("done"))
    assert not fail_run(engine, run_id, "killed")
    assert get_run(engine, run_id).status == "done"


def test_only_abandoned_foreground_runs_are_failed(engine: Engine) -> None:
    abandoned, live = new_run(engine), new_run(engine)
    queued = create_run(engine, config(), origin="queue", owner="ada")
    begin_attempt(engine, abandoned, worker_id=None, lease_s=-1)
    begin_attempt(engine, live, worker_id=None, lease_s=30)
    begin_attempt(engine, queued, worker_id=None, lease_s=-1)
    assert fail_abandoned_foreground_runs(engine, datetime.now(UTC)) == [abandoned]
    assert "lease expired" in get_run(engine, abandoned).status_reason
    assert get_run(engine, live).status == "starting"


def test_a_run_is_found_by_the_start_of_its_id(engine: Engine) -> None:
    first, second = new_run(engine), new_run(engine)
    assert resolve_run(engine, first) == first
    assert resolve_run(engine, f" {first[:-1].upper()} ") == first
    for bad in ("", "zzzz", "%", "_"):
        with pytest.raises(UnknownRunError, match="rankscope runs"):
            resolve_run(engine, bad)
    with pytest.raises(UnknownRunError, match="more characters") as caught:
        resolve_run(engine, first[:3])
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_runs_are_listed_by_filter_with_their_accuracy(engine: Engine) -> None:
    tagged = new_run(engine, name="50% off", tags=["demo", 'quo"te'], seed=3)
    with new_sink(engine, tagged) as sink:
        sink.emit(evaluated(1, [True, False]))
    other = new_run(engine, name="500 off", tags=["demos"])
    assert set(list_runs(engine)["id"]) == {tagged, other}
    row = list_runs(engine, RunFilter(tag="demo")).iloc[0]
    assert (row["id"], row["accuracy"], row["scheduler"], row["seed"]) == (
        tagged,
        0.5,
        "uniform",
        3,
    )
    assert list_runs(engine, RunFilter(tag="te")).empty
    assert list_runs(engine, RunFilter(name_contains="50%"))["id"].tolist() == [tagged]
    assert list_runs(engine, RunFilter(statuses=frozenset({"done"}))).empty
    assert len(list_runs(engine, RunFilter(origins=frozenset({"foreground"}), limit=1))) == 1


def test_a_run_keeps_the_inventory_it_began_with(engine: Engine) -> None:
    run_id = new_run(engine)
    set_inventory(engine, run_id, inventory(), budget_params=99, other_trainable_params=5)
    run = get_run(engine, run_id)
    assert (run.inventory, run.budget_params, run.other_trainable_params) == (inventory(), 99, 5)
    with pytest.raises(RunRefusedError, match="start a new run"):
        set_inventory(engine, run_id, inventory(4), budget_params=99)


def test_a_request_is_taken_once_and_only_by_the_present_attempt(engine: Engine) -> None:
    run_id = new_run(engine)
    old = begin_attempt(engine, run_id, worker_id=None, lease_s=-1)
    new = begin_attempt(engine, run_id, worker_id=None, lease_s=30)
    request_control(engine, run_id, "stop")
    request_control(engine, run_id, "stop")
    request_control(engine, run_id, "checkpoint")
    assert take_control(engine, run_id, old) == frozenset()
    assert take_control(engine, run_id, new) == {"stop", "checkpoint"}
    assert take_control(engine, run_id, new) == {"stop"}  # until the run has ended


def test_an_ended_run_takes_no_requests(engine: Engine) -> None:
    run_id = new_run(engine)
    fail_run(engine, run_id, "killed")
    with pytest.raises(RunRefusedError, match="failed"):
        request_control(engine, run_id, "stop")
