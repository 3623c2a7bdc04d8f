"""Which trial wins, and what becomes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.science.protocol import Cell, ProtocolError
from benchmarks.science.records import Record
from benchmarks.science.tuning import choose, table_of, tuning_cells
from benchmarks.science.winners import Place, Winners, read_winners, write_winners
from tests.unit.benchmarks.protocols import RAW, protocol, record


def trial(
    number: int, loss: float | None, lr: float, arm: str = "hydra", cost_s: float = 0.0
) -> Record:
    cell = Cell("answers", arm, 1, 100, "validation", number)
    status = "failed" if loss is None else "done"
    return record(cell, [True, False], loss=loss, lr=lr, steering_s=cost_s, status=status)


HYDRA = Place("hydra", "answers", 1)
UNIFORM = Place("uniform", "answers", 1)
LESS = Place("hydra, less", "answers", 1)


def test_every_arm_is_tried_as_often() -> None:
    cells = tuning_cells(protocol(), ["answers", "skills"], ["uniform", "hydra", "hydra, less"])
    assert len(cells) == len(set(cells)) == 2 * 2 * 2  # a variant has no trials of its own
    assert {(cell.part, cell.seed, cell.budget) for cell in cells} == {("validation", 100, 1)}


def test_the_lowest_validation_loss_wins_and_ties_go_to_the_lower_rate() -> None:
    rules = protocol()
    chosen = choose(rules, [trial(0, 0.5, 0.01), trial(1, 0.4, 0.02)])
    assert chosen[HYDRA].trial == RAW["grids"]["hydra"][1]
    chosen = choose(rules, [trial(1, 0.4, 0.02), trial(0, 0.4, 0.01)])
    assert chosen[HYDRA].trial == RAW["grids"]["hydra"][0]


def test_every_budget_has_a_winner_of_its_own() -> None:
    larger = [
        replace(one, cell=replace(one.cell, budget=2))
        for one in (trial(0, 0.3, 0.01), trial(1, 0.5, 0.02))
    ]
    chosen = choose(protocol(), [*larger, trial(0, 0.5, 0.01), trial(1, 0.4, 0.02)])
    won = {place.budget: winner.trial for place, winner in chosen.items()}
    assert won == {1: RAW["grids"]["hydra"][1], 2: RAW["grids"]["hydra"][0]}
    assert (
        Winners().with_chosen(chosen).trial(protocol(), HYDRA._replace(budget=2), untuned=False)
        == (RAW["grids"]["hydra"][0])
    )


def test_a_trial_that_failed_cannot_win() -> None:
    chosen = choose(protocol(), [trial(0, None, 0.01), trial(1, 9.0, 0.02)])
    assert chosen[HYDRA].loss == 9.0
    with pytest.raises(RuntimeError, match="at least one trial must end"):
        choose(protocol(), [trial(0, None, 0.01)])


def test_the_mean_over_seeds_decides() -> None:
    seeds = [trial(0, loss, 0.01) for loss in (0.1, 0.9)]
    chosen = choose(protocol(), [*seeds, trial(1, 0.4, 0.02), trial(1, 0.4, 0.02)])
    assert chosen[HYDRA].loss == 0.4


def test_winners_survive_their_file_and_others_are_kept(tmp_path: Path) -> None:
    rules, path = protocol(), tmp_path / "winners.yaml"
    assert read_winners(path) == (Winners(), "")
    first = Winners().with_chosen(choose(rules, [trial(0, 0.5, 0.01)]), commit="a", date="b")
    uniform = choose(rules, [trial(1, 0.3, 0.02, arm="uniform")])
    write_winners(first.with_chosen(uniform, protocol_sha256="c", commit="d"), path)
    read, sha256 = read_winners(path)
    assert set(read.arms) == {"hydra", "uniform"}
    assert (read.commit, read.protocol_sha256, len(sha256)) == ("d", "c", 64)
    assert read.trial(rules, UNIFORM, untuned=False) == {"optimizer": {"lr": 0.02}}
    assert read.is_tuned(rules, LESS)


def test_an_arm_that_was_not_tuned_under_these_rules_is_refused() -> None:
    winners = Winners().with_chosen(choose(protocol(), [trial(1, 0.5, 0.02)]))
    with pytest.raises(ProtocolError, match="--preset tune --arms 'uniform'"):
        winners.trial(protocol(), UNIFORM, untuned=False)
    other = protocol(common=RAW["common"] | {"seed": 7})
    with pytest.raises(ProtocolError, match="must be tuned under the present protocol"):
        winners.trial(other, HYDRA, untuned=False)
    assert winners.trial(other, HYDRA, untuned=True) == RAW["grids"]["hydra"][0]


def test_decisions_are_charged_in_whole_steps_rounded_up() -> None:
    """0.23 s of decisions at 0.1 s a step are 2.3 steps: 3 fewer, or 3 more for the rival."""
    rules = protocol()
    chosen = choose(rules, [trial(0, 0.5, 0.01, cost_s=0.23), trial(1, 0.6, 0.02, cost_s=0.23)])
    winners = Winners().with_chosen(chosen)
    assert chosen[HYDRA].steering_steps == 2.3
    assert winners.more_steps(rules, LESS, untuned=False) == -3
    assert winners.more_steps(rules, Place("mlp only, more", "answers", 1), untuned=False) == 3
    assert winners.more_steps(rules, HYDRA, untuned=False) == 0
    with pytest.raises(ProtocolError, match="hydra on skills at budget 1 is not"):
        winners.more_steps(rules, LESS._replace(task="skills"), untuned=False)
    assert winners.more_steps(rules, LESS._replace(task="skills"), untuned=True) == 0


def test_the_table_shows_every_trial_and_marks_the_winner() -> None:
    records = [trial(0, 0.5, 0.01), trial(1, 0.4, 0.02)]
    table = table_of(records, choose(protocol(), records))
    assert "| answers | 1 | hydra | 0 (lr 0.01) | 0.5000 | 50.0 | 0.0 |" in table
    assert "| answers | 1 | hydra | 1 (lr 0.02) | **0.4000** | 50.0 | 0.0 |" in table
