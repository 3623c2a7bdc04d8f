"""The committed protocol keeps its own rules, and a protocol that breaks one is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.science.protocol import Cell, ProtocolError, merged, read_protocol
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.random_ranks import RandomRanks
from tests.unit.benchmarks.protocols import RAW, protocol

COMMITTED, SHA256 = read_protocol()


def test_every_arm_of_the_committed_protocol_is_a_valid_run_on_every_open_task() -> None:
    for task in COMMITTED.open_tasks(list(COMMITTED.tasks)):
        for arm in COMMITTED.arms:
            for trial in COMMITTED.trials(arm):
                config = COMMITTED.config(Cell(task, arm, 2, 0, "test"), trial)
                assert config.evaluation.test_items == 2048
                assert config.evaluation.validation_items == 0
                assert not config.evaluation.before


def test_tuning_never_reads_the_test() -> None:
    for trial in range(len(COMMITTED.trials("hydra"))):
        config = COMMITTED.config(Cell("answers", "hydra", 1, 1000, "validation", trial), {})
        assert config.evaluation.test_items == 0
        assert config.evaluation.validation_items > 0


def test_the_main_tables_tasks_are_of_one_family_each() -> None:
    for name in ("standard", "full"):
        families = [COMMITTED.tasks[task].family for task in COMMITTED.presets[name].tasks]
        assert len(set(families)) == len(families) == 5


def test_both_budgets_and_disjoint_seeds() -> None:
    assert list(COMMITTED.presets["standard"].budgets) == [1, 2]
    assert len(COMMITTED.presets["standard"].seeds) == 5
    assert len(COMMITTED.presets["full"].seeds) == 10
    assert len(SHA256) == 64


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_sealed_task_is_refused(part: Any) -> None:
    cell = Cell("hidden", "uniform", 1, 0, part)
    with pytest.raises(ProtocolError, match="sealed task must not be run"):
        protocol().config(cell, {})
    assert protocol(sealed_open=True).config(cell, {}).data.family == "look"
    assert protocol().open_tasks(["answers", "hidden"]) == ["answers"]


def test_a_winner_lies_over_its_arm_and_a_variant_over_the_winner() -> None:
    """The winner says 0.5, the variant 0.9; what neither names stays the arm's."""
    winner = RAW["grids"]["hydra"][0]
    factors = []
    for arm in ("hydra", "hydra, undamped"):
        config = protocol().config(Cell("answers", arm, 1, 0, "test"), winner)
        assert isinstance(config.scheduler, Hydra)
        assert config.scheduler.first_event_fraction == 0.25
        factors.append(config.scheduler.early_lr_factor)
    assert factors == [0.5, 0.9]


def test_a_trial_takes_the_place_of_a_winner() -> None:
    cell = Cell("answers", "uniform", 1, 100, "validation", trial=1)
    assert protocol().config(cell, {"optimizer": {"lr": 0.5}}).optimizer.lr == 0.02


def test_steps_and_draws_are_changed() -> None:
    cell = Cell("answers", "random", 1, 0, "test", draw=3)
    config = protocol().config(cell, {}, more_steps=-1)
    assert config.training.steps == 3
    assert isinstance(config.scheduler, RandomRanks)
    assert config.scheduler.draw == 3


def test_another_kind_replaces_all_of_the_old() -> None:
    old = {"scheduler": {"kind": "hydra", "probe_items": 8}, "seed": 1}
    assert merged(old, {"scheduler": {"kind": "uniform"}}) == {
        "scheduler": {"kind": "uniform"},
        "seed": 1,
    }
    assert merged(old, {"scheduler": {"probe_items": 9}})["scheduler"] == {
        "kind": "hydra",
        "probe_items": 9,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": RAW["grids"] | {"rates": [{}]}}, "as many trials"),
        ({"tuning": {"budgets": [1], "seeds": [0]}}, "must not use the tuning seeds"),
        ({"arms": RAW["arms"] | {"x": {"like": "nobody"}}}, "what arm x refers to"),
        ({"arms": RAW["arms"] | {"x": {"grid": "none"}}}, "the grid of arm x"),
        ({"arms": RAW["arms"] | {"x": {"control": "static"}}}, "needs like"),
        ({"tasks": {"answers": RAW["tasks"]["answers"]}}, "tasks of preset quick"),
    ],
)
def test_a_protocol_that_breaks_a_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        protocol(**changes)


def test_a_task_of_another_family_than_its_data_is_refused() -> None:
    tasks = RAW["tasks"] | {"answers": RAW["tasks"]["answers"] | {"family": "look"}}
    with pytest.raises(ProtocolError, match="family must be its data's"):
        protocol(tasks=tasks).config(Cell("answers", "uniform", 1, 0, "test"), {})


def test_what_tuning_depends_on_has_its_own_hash() -> None:
    """More arms, presets or seeds of the test leave winners valid; another grid does not."""
    before = protocol().tuned_under("answers", "hydra")
    more = protocol(arms=RAW["arms"] | {"x": {}}, sealed_open=True)
    assert more.tuned_under("answers", "hydra") == before
    assert more.tuned_under("answers", "hydra, less") == before
    grids = RAW["grids"] | {"hydra": RAW["grids"]["hydra"][::-1]}
    assert protocol(grids=grids).tuned_under("answers", "hydra") != before
    assert protocol(grids=grids).tuned_under("answers", "uniform") == protocol().tuned_under(
        "answers", "uniform"
    )


def test_keys_are_words() -> None:
    assert protocol().key("mlp only, more") == "mlp_only_more"
    assert COMMITTED.key("uniform, layer-wise rates") == "layerwise_lr"
    keys = [COMMITTED.key(arm) for arm in COMMITTED.arms]
    assert len(set(keys)) == len(keys)


def test_a_text_may_name_the_tasks_family() -> None:
    arms = RAW["arms"] | {
        "hydra": {"config": {"scheduler": {"kind": "hydra", "offline": "without-{family}"}}}
    }
    config = protocol(arms=arms).config(Cell("skills", "hydra", 1, 0, "test"), {})
    assert isinstance(config.scheduler, Hydra)
    assert config.scheduler.offline == "without-questions"
