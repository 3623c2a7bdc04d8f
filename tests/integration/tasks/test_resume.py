"""A run stopped anywhere and resumed must end bitwise as if it had never stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rankscope.models.config import RunConfig
from rankscope.models.events import Event, RanksChanged, StepDone
from rankscope.models.reading import parse_config
from rankscope.storage.settings import Settings
from rankscope.tasks.build import Assembled, assemble, make_trainer
from rankscope.tasks.callback import Request, RunCallback
from rankscope.tasks.checkpoints import list_checkpoints
from rankscope.tasks.loop import RankTrainer, seed_everything
from rankscope.tasks.preparing import prepare

NUM_STEPS = 20
HYDRA: dict[str, Any] = {
    "kind": "hydra",
    "first_event_fraction": 0.2,
    "event_interval_fraction": 0.2,
    "freeze_fraction": 0.9,
    "early_lr_factor": 0.3,
    "layer_prior_sd": 1.5,
    "type_prior_sd": 1.0,
    "knock_out_log_sd": 0.3,
    # Later decisions must move, so that ranks change before and after the cut.
    "caution_sds": 0,
    "min_gain_fraction": 0,
    "max_move_fraction": 0.5,
}


def config_of(scheduler: dict[str, Any], **training: Any) -> RunConfig:
    return parse_config(
        {
            "seed": 3,
            "data": {"kind": "easy_vqa"},
            "scheduler": scheduler,
            "budget": {"unit": "rank", "value": 2},
            "training": {"steps": NUM_STEPS, "batch_size": 8, **training},
            "evaluation": {"every_steps": 100, "validation_items": 8},
            "checkpoint": {"every_s": 3600},
        }
    )


class Trained:
    """One process's worth of training: from the start, or from the last checkpoint in a folder."""

    def __init__(self, config: RunConfig, folder: Path, *, stop_at: int | None = None) -> None:
        self.events: list[Event] = []
        seed_everything(config.seed)
        self.assembled: Assembled = assemble(
            config, Settings(rankscope_home=folder).roots, self.events.append
        )
        callback = RunCallback(
            config,
            self.assembled.inventory,
            emit=self.events.append,
            flush=lambda: None,
            requested=self._stopper(stop_at),
            score_validation=lambda _: None,
        )
        self.trainer: RankTrainer = make_trainer(config, self.assembled, folder, callback)
        checkpoints = list_checkpoints(folder)
        if not checkpoints:
            prepare(config, self.assembled, self.events.append)
            if self.assembled.steering:
                self.assembled.steering.decide(0, None, None)
        self.trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)

    def _stopper(self, stop_at: int | None) -> Callable[[], Request | None]:
        def requested() -> Request | None:
            done = [event.step for event in self.events if isinstance(event, StepDone)]
            return "stop" if stop_at is not None and done[-1] == stop_at else None

        return requested

    @property
    def losses(self) -> dict[int, float]:
        return {event.step: event.loss for event in self.events if isinstance(event, StepDone)}

    @property
    def moves(self) -> dict[int, dict[str, int]]:
        return {
            event.step: event.ranks
            for event in self.events
            if isinstance(event, RanksChanged) and event.step > 0
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        return self.trainer._snapshot()[1]


def assert_same_end(straight: Trained, stopped: Trained, resumed: Trained) -> None:
    assert stopped.losses | resumed.losses == straight.losses
    assert stopped.moves | resumed.moves == straight.moves
    expected, got = straight.tensors(), resumed.tensors()
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(got[name], tensor), name
    assert resumed.assembled.tuning.ranks() == straight.assembled.tuning.ranks()


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(config_of(HYDRA), tmp_path_factory.mktemp("never_stopped"))


@pytest.mark.parametrize("stop_at", [5, 11, 17])
def test_hydra_ends_bitwise_equal_wherever_it_was_stopped(
    tmp_path: Path, never_stopped: Trained, stop_at: int
) -> None:
    stopped = Trained(config_of(HYDRA), tmp_path, stop_at=stop_at)
    assert max(stopped.losses) == stop_at
    resumed = Trained(config_of(HYDRA), tmp_path)
    assert min(resumed.losses) == stop_at + 1
    assert_same_end(never_stopped, stopped, resumed)
    if stop_at == 11:
        assert stopped.moves
        assert resumed.moves


@pytest.mark.parametrize(
    "scheduler",
    [
        {"kind": "uniform"},
        {"kind": "gradient"},
        {"kind": "adalora"},
        {"kind": "adalora", "live_budget": "held"},
        {"kind": "dora"},
        {"kind": "eva", "num_batches": 4},
        {"kind": "lora_ga", "num_batches": 2},
        {"kind": "full"},
    ],
    ids=lambda scheduler: "-".join(map(str, scheduler.values())),
)
def test_every_way_of_training_resumes_bitwise(tmp_path: Path, scheduler: dict[str, Any]) -> None:
    config = config_of(scheduler, accumulation_steps=2, full_parts=["projector"])
    straight = Trained(config, tmp_path / "straight")
    stopped = Trained(config, tmp_path / "cut", stop_at=9)
    resumed = Trained(config, tmp_path / "cut")
    assert_same_end(straight, stopped, resumed)


def test_layer_wise_rates_and_planned_factors_survive_a_stop(tmp_path: Path) -> None:
    raw = config_of(HYDRA).model_dump(mode="json")
    raw["optimizer"]["layer_rates"] = {"kind": "geometric", "ratio": 0.8}
    config = parse_config(raw)
    straight = Trained(config, tmp_path / "straight")
    stopped = Trained(config, tmp_path / "cut", stop_at=7)
    resumed = Trained(config, tmp_path / "cut")
    assert_same_end(straight, stopped, resumed)
    factors = [
        sorted({group["factor"] for group in trained.trainer.plain_optimizer.param_groups})
        for trained in (straight, resumed)
    ]
    assert factors[0] == factors[1]
    assert len(factors[0]) == 6


def test_only_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    raw = config_of({"kind": "uniform"}).model_dump(mode="json")
    raw["checkpoint"]["every_s"] = 1e-6
    Trained(parse_config(raw), tmp_path)
    kept = [path.name for path in list_checkpoints(tmp_path)]
    assert kept == ["step-000000019", "step-000000020"]
