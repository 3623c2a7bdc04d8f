"""``rankscope runs``, ``show``, ``logs`` and ``replay`` on runs that ended."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.app.past_runs import UP, PastRuns, Q

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


def test_runs_are_listed_newest_first_and_filtered(answer_of: Answer, past_runs: PastRuns) -> None:
    every = answer_of("runs", "--json")["runs"]
    assert {run["id"] for run in every} == {*past_runs.uniform, *past_runs.static}
    made = [run["created_at"] for run in every]
    assert made == sorted(made, reverse=True)
    static = answer_of("runs", "--tag", "static", "--json")["runs"]
    assert {run["id"] for run in static} == set(past_runs.static)
    assert {run["accuracy"] for run in static} == {0.7, 0.9}
    assert answer_of("runs", "--status", "failed", "--json")["runs"] == []
    assert len(answer_of("runs", "--status", "done", "--limit", "3", "--json")["runs"]) == 3


@pytest.mark.usefixtures("empty_home")
def test_an_empty_list_says_how_to_begin(call: Call) -> None:
    assert call("runs") == (0, "no runs yet; start one with: rankscope run configs/demo.yaml\n", "")


def test_show_sums_a_run_up(answer_of: Answer, past_runs: PastRuns) -> None:
    """One move of 16 parameters after step 0; the wall time is 3 s by the events' clock."""
    answer = answer_of("show", past_runs.static[1], "--json")
    assert (answer["run"], answer["status"]) == (past_runs.static[1], "done")
    assert (answer["scheduler"], answer["seed"]) == ("static", 1)
    assert (answer["budget_params"], answer["max_live_params"], answer["final_params"]) == (32,) * 3
    assert (answer["decisions"], answer["rank_events"], answer["params_moved"]) == (1, 1, 16)
    assert (answer["accuracy"], answer["items"], answer["wall_s"]) == (0.9, 10, 3.0)
    assert answer["ranks"] == {Q: 0, UP: 2}
    assert answer["decision_log"][0]["ranks"] == {Q: 0, UP: 2}
    assert answer["config"]["scheduler"]["kind"] == "static"


def test_show_tells_people_decisions_and_the_ranks_that_are_held(
    call: Call, past_runs: PastRuns
) -> None:
    code, said, _ = call("show", past_runs.static[0])
    assert code == 0
    assert "70.0 % of 10 items" in said
    assert "mlp only" in said
    assert "Ranks (1 of 2 modules hold an adapter)" in said
    assert UP in said
    assert Q not in said


def test_the_log_is_printed_as_it_is(call: Call, past_runs: PastRuns) -> None:
    """Brackets are no markup."""
    code, said, _ = call("logs", past_runs.uniform[0])
    assert (code, said) == (0, "[bold]uniform[/bold] began\nand ended\n")
    assert call("logs", past_runs.uniform[0], "--follow")[1] == said


def test_another_scheduler_is_replayed_on_the_recorded_views(
    answer_of: Answer, past_runs: PastRuns
) -> None:
    """The run measured gradient energies 1 and 9 at step 0: 32 parameters buy up_proj rank 2."""
    answer = answer_of("replay", past_runs.uniform[0], "--scheduler", "gradient", "--json")
    assert answer["run"] == past_runs.uniform[0]
    (decision,) = answer["decisions"]
    assert (decision["ranks"], decision["params"]) == ({Q: 0, UP: 2}, 32)
    assert (decision["is_off_policy"], decision["not_recorded"]) == (False, [])


def test_a_replay_tells_people_what_was_not_recorded(call: Call, past_runs: PastRuns) -> None:
    """Two steps: hydra decides at 0 and at 1, where it would knock groups out."""
    code, said, _ = call("replay", past_runs.uniform[0], "--scheduler", "hydra")
    assert code == 0
    assert "nothing" in said
    assert "asked for knock_out" in said
