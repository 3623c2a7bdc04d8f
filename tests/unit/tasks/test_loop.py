"""The training loop and what happens between its steps, driven whole on a tiny model."""

import random
from pathlib import Path

import pytest
import torch
from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Failed,
    RanksChanged,
)
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.schedulers.contract import (
    Decision,
    Memory,
    View,
)
from rankscope.models.schedulers.elalora import ElaLora
from rankscope.models.schedulers.para import Para
from rankscope.tasks.batches import Collator
from rankscope.tasks.callback import TrainingDiverged
from rankscope.tasks.checkpoints import (
    list_checkpoints,
    load_trained,
    read_checkpoint,
    trained_tensors,
)
from tests.unit.tasks import tiny
from tests.unit.tasks.tiny_run import BUDGET, K0, Q0, Run, Seesaw, adalora, config

pytestmark = pytest.mark.usefixtures("quick_collections")


def test_every_step_is_told_with_its_rate_and_its_loss(tmp_path: Path) -> None:
    """Four steps, two of warm-up: 0, 1/2, 1 of the peak, then cosine half way down: 1/2.

    The first loss is the model's own on the first batch of the seed's order.
    """
    run = Run(tmp_path, config(steps=4, warmup_fraction=0.5))
    order = run.trainer.train_dataset
    assert order is not None
    batch = Collator(tiny.part(20), tiny.processor())([order[i] for i in range(4)])
    with torch.no_grad():
        expected = float(tiny.elastic_of(tiny.vlm(), 1).peft_model(**batch).loss)
    run.train()
    steps = run.steps()
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert [step.lr / 0.125 for step in steps] == pytest.approx([0, 0.5, 1, 0.5], abs=1e-12)
    assert steps[0].loss == pytest.approx(expected, rel=1e-5)
    assert all(step.grad_norm is not None and step.grad_norm > 0 for step in steps)


def test_accumulated_portions_are_one_step_of_their_mean(tmp_path: Path) -> None:
    """Two portions of four items against one of eight: the first step sees the same items.

    The loss is a mean over tokens and portions weigh by theirs, so the sums agree.
    """
    together = Run(tmp_path / "one", config(steps=2, batch_size=8))
    together.train()
    in_portions = Run(tmp_path / "two", config(steps=2, batch_size=4, accumulation_steps=2))
    in_portions.train()
    for one, other in zip(together.steps(), in_portions.steps(), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)


def test_the_loss_planners_see_is_a_mean_of_about_ten_steps(tmp_path: Path) -> None:
    run = Run(tmp_path, config(steps=3))
    run.train()
    first, second, third = (step.loss for step in run.steps())
    expected = 0.9 * (0.9 * first + 0.1 * second) + 0.1 * third
    assert run.trainer.train_loss == pytest.approx(expected)


def test_validation_is_scored_at_its_steps_and_the_end_is_saved(tmp_path: Path) -> None:
    run = Run(tmp_path, config())
    run.train()
    assert run.scored == [4, 6]
    saved = [event for event in run.events if isinstance(event, CheckpointSaved)]
    assert [(event.step, event.path) for event in saved] == [(6, "checkpoints/step-000000006")]
    (folder,) = list_checkpoints(tmp_path)
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    assert saved[0].size_bytes == size_bytes


def test_checkpoints_are_saved_when_their_time_has_come(tmp_path: Path) -> None:
    settings = config(steps=4).model_dump(mode="json") | {"checkpoint": {"every_s": 1e-9}}
    run = Run(tmp_path, RunConfig.model_validate(settings))
    run.train()
    saved = [event.step for event in run.events if isinstance(event, CheckpointSaved)]
    assert saved == [1, 2, 3, 4]
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-000000003",
        "step-000000004",
    ]


def test_a_checkpoint_on_request_does_not_stop_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, config(), requests={2: "checkpoint"})
    run.train()
    saved = [event.step for event in run.events if isinstance(event, CheckpointSaved)]
    assert saved == [2, 6]
    assert not run.callback.was_stopped


def test_the_record_is_flushed_before_every_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, config(), is_steered=True, requests={2: "checkpoint"})
    run.train()
    told = [(event.kind, event.step) for event in run.flushed_after]
    assert told == [("ranks_changed", 2), ("step_done", 6)]
    saved = [i for i, event in enumerate(run.events) if isinstance(event, CheckpointSaved)]
    assert [run.events[i - 1] for i in saved] == run.flushed_after


def diverging() -> ElasticTuning:
    """A model one of whose base weights is no number."""
    vlm = tiny.vlm()
    with torch.no_grad():
        vlm.model.get_parameter("language_model.lm_head.weight")[0, 0] = float("nan")
    return ElasticTuning(tiny.elastic_of(vlm, 1))


def test_a_loss_that_is_no_number_ends_the_run_naming_step_and_rate(tmp_path: Path) -> None:
    run = Run(tmp_path, config(), tuning=diverging())
    with pytest.raises(TrainingDiverged) as caught:
        run.train()
    assert str(caught.value) == (
        "the training loss must stay finite, got nan at step 1; lower optimizer.lr=0.125"
    )
    assert run.steps() == []
    assert list_checkpoints(tmp_path) == []


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_a_stopped_run_goes_on_bitwise_as_if_it_had_never_stopped(
    tmp_path: Path, stop_after: int
) -> None:
    """Ranks move at steps 2 and 4: the cut lies before, between and after them."""
    whole = Run(tmp_path / "whole", config(), is_steered=True)
    whole.train()
    next_draws = (random.random(), torch.rand(3).tolist())
    folder = tmp_path / "cut"
    first = Run(folder, config(), is_steered=True, requests={stop_after: "stop"})
    first.train()
    assert first.callback.was_stopped
    assert len(first.steps()) == stop_after
    second = Run(folder, config(), is_steered=True)
    torch.manual_seed(stop_after)  # another process would have drawn other numbers
    random.seed(stop_after)
    second.train(list_checkpoints(folder)[-1])
    assert (random.random(), torch.rand(3).tolist()) == next_draws

    told = [step.loss for run in (first, second) for step in run.steps()]
    assert told == [step.loss for step in whole.steps()]
    assert second.tuning.ranks() == whole.tuning.ranks()
    assert second.tuning.ranks()[Q0] == 2
    expected = trained_tensors(whole.tuning)
    got = trained_tensors(second.tuning)
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in expected.items())
    assert whole.steering is not None
    assert second.steering is not None
    assert second.steering.memory == whole.steering.memory
    assert second.steering.num_samples == whole.steering.num_samples
    assert second.trainer.planned_factors == whole.trainer.planned_factors == {K0: 0.125}


class Faulty(Seesaw):
    """Moves at step 2, fails at step 4, and would move again at step 5."""

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if view.step == 4:
            raise LookupError("nothing to see")
        return super().plan(view, memory)

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (2, 4, 5)


@pytest.mark.parametrize("stop_after", [3, 4])
def test_a_run_whose_scheduler_fails_goes_on_and_stays_without_it_when_resumed(
    tmp_path: Path, stop_after: int
) -> None:
    """The cut lies before the failure and after it."""
    whole = Run(tmp_path / "whole", config(), planner=Faulty())
    whole.train()
    folder = tmp_path / "cut"
    first = Run(folder, config(), planner=Faulty(), requests={stop_after: "stop"})
    first.train()
    second = Run(folder, config(), planner=Faulty())
    second.train(list_checkpoints(folder)[-1])
    for last in (whole, second):
        assert last.steps()[-1].step == 6
        assert last.tuning.ranks()[K0] == 2
        assert last.steering is not None
        assert last.steering.failure == "LookupError: nothing to see"
    assert [step for step, _ in first.moves() + second.moves()] == [2]
    failures = [
        event.step
        for event in first.events + second.events
        if isinstance(event, Decided) and isinstance(event.decision, Failed)
    ]
    assert failures == [4]
    told = [step.loss for run in (first, second) for step in run.steps()]
    assert told == [step.loss for step in whole.steps()]


def test_ranks_move_in_the_run_and_never_exceed_the_budget(tmp_path: Path) -> None:
    """Step 2: one rank of 32 goes, one comes: 32. Step 4: two go, two come: 64 moved."""
    run = Run(tmp_path, config(), is_steered=True)
    run.train()
    moves = [event for event in run.events if isinstance(event, RanksChanged)]
    assert [(move.step, move.moved_params) for move in moves] == [(2, 32), (4, 64)]
    samples = [event.live_params for event in run.events if event.kind == "params_sampled"]
    assert max(samples) == BUDGET
    assert (
        run.trainer.rates.groups(run.tuning.model, run.trainer.planned_factors)[-1]["lr"]
        == 0.015625
    )


def test_elalora_moves_ranks_by_the_saliency_it_saw_and_keeps_the_budget(tmp_path: Path) -> None:
    """Six steps: warm-up 1, at rest from 5, so moves at steps 2, 3 and 4."""
    planner = ElaLora(warmup_fraction=0.2, final_fraction=0.2, interval_fraction=0.1)
    run = Run(tmp_path, config(), planner=planner)
    run.train()
    moves = [event for event in run.events if isinstance(event, RanksChanged)]
    assert moves
    assert {move.step for move in moves} <= {2, 3, 4}
    assert all(move.live_params <= BUDGET for move in moves)
    assert run.steering is not None
    assert run.steering.failure is None


def test_what_is_decided_after_the_last_step_is_scored_and_saved(tmp_path: Path) -> None:
    """A quarter of 496 parameters is left, and the cut comes after all training."""
    run = Run(tmp_path, config(), planner=Para(keep_fraction=0.25))
    run.train()
    kinds = [event.kind for event in run.events]
    assert kinds.index("decided") > max(i for i, kind in enumerate(kinds) if kind == "step_done")
    assert kinds.index("ranks_changed") < kinds.index("checkpoint_saved")
    assert run.scored[-1] == 6
    assert 0 < run.tuning.live_params() <= BUDGET // 4
    again = Run(tmp_path / "again", config(), planner=Para(keep_fraction=0.25))
    state, tensors = read_checkpoint(list_checkpoints(tmp_path)[-1], config().hash())
    load_trained(again.tuning, state, tensors)
    assert again.tuning.ranks() == run.tuning.ranks()


def test_ranks_that_adalora_masks_are_told_as_observed(tmp_path: Path) -> None:
    """Start rank ceil(1.5 * 2) = 3 on 14 modules, target 2: 42 triplets are masked down to 28.

    The last observation books the parameters of the ranks kept, the sample what is in memory: 3
    ranks of 496 parameters and an E of 3 on each of 14 modules = 1488 + 42 = 1530.
    """
    run = Run(tmp_path, config(), tuning=adalora())
    assert sum(run.tuning.ranks().values()) == 42
    run.train()
    moves = [event for event in run.events if isinstance(event, RanksChanged)]
    assert moves
    assert {move.cause for move in moves} == {"observed"}
    ranks = run.tuning.ranks()
    assert sum(ranks.values()) == 28
    seen = dict.fromkeys(ranks, 3)
    for move in moves:
        seen |= move.ranks
    assert seen == ranks
    inventory = tiny.inventory_of(tiny.vlm())
    assert moves[-1].live_params == inventory.params(ranks)
    samples = [event for event in run.events if event.kind == "params_sampled"]
    assert {event.live_params for event in samples} == {1530}
