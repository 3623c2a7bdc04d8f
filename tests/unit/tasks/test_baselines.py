"""Every baseline learns, is resumed bitwise and is exported for stock peft, in the real loop."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from rankscope.models.config import LoraSettings, RunConfig
from rankscope.models.full_tuning import FullTuning
from rankscope.models.lora.adalora import AdaLoraTuning
from rankscope.models.lora.dora import DoraTuning
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.eva import EvaTuning
from rankscope.models.lora.export import reload_difference
from rankscope.models.lora.lora_ga import LoraGaTuning
from rankscope.models.lora.scaling import Scaling
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.rank_bounds import initial_states
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.eva import Eva
from rankscope.models.schedulers.lora_ga import LoraGa
from rankscope.models.tuning import Tuning
from rankscope.tasks.batches import Collator
from rankscope.tasks.checkpoints import list_checkpoints, trained_tensors
from tests.unit.tasks import tiny
from tests.unit.tasks.tiny_run import BUDGET, K0, Q0, Run, adalora, config

pytestmark = pytest.mark.usefixtures("quick_collections")


class Baseline(NamedTuple):
    """What trains, and with which settings of the run."""

    make: Callable[[], Tuning]
    settings: RunConfig = config()


def lora() -> ElasticTuning:
    return ElasticTuning(tiny.elastic_of(tiny.vlm(), 1, is_stirred=False))


def rs_lora() -> ElasticTuning:
    """Rank 2 and 0 among 1, so that scales differ: 2 * 1 / sqrt(rank)."""
    vlm = tiny.vlm()
    inventory = tiny.inventory_of(vlm)
    ranks = {module.name: 1 for module in inventory.modules} | {Q0: 2, K0: 0}
    return ElasticTuning(ElasticLora(vlm.model, inventory, ranks, scale=2.0, seed=0, rs_rank=1.0))


def held_adalora() -> AdaLoraTuning:
    vlm = tiny.vlm()
    settings = AdaLora(
        live_budget="held", warmup_fraction=0.1, final_fraction=0.5, interval_fraction=0.01
    )
    return AdaLoraTuning(
        vlm.model, tiny.inventory_of(vlm), settings, budget=3 * BUDGET, steps=6, scale=2.0
    )


def full() -> FullTuning:
    vlm = tiny.vlm()
    return FullTuning(vlm.model, tiny.inventory_of(vlm))


def dora() -> DoraTuning:
    vlm = tiny.vlm()
    inventory = tiny.inventory_of(vlm)
    ranks = {module.name: 1 for module in inventory.modules} | {Q0: 2, K0: 0}
    return DoraTuning(vlm.model, inventory, ranks, scaling=Scaling(2.0), seed=0)


def eva() -> EvaTuning:
    vlm = tiny.vlm()
    states = initial_states(tiny.inventory_of(vlm), LoraSettings())
    elastic = tiny.elastic_of(vlm, 1, is_stirred=False)
    return EvaTuning(elastic, Eva(num_batches=4), states, budget=BUDGET)


def lora_ga() -> LoraGaTuning:
    elastic = tiny.elastic_of(tiny.vlm(), 1, is_stirred=False)
    return LoraGaTuning(elastic, LoraGa(num_batches=2), seed=0)


def first_batches(num_batches: int) -> list[dict[str, torch.Tensor]]:
    collate = Collator(tiny.part(20), tiny.processor())
    return [collate(range(4 * start, 4 * start + 4)) for start in range(num_batches)]


BASELINES = {
    "lora+": Baseline(lora, config(b_lr_ratio=4)),
    "rslora": Baseline(rs_lora),
    "adalora": Baseline(adalora),
    "adalora held": Baseline(held_adalora),
    "dora": Baseline(dora),
    "eva": Baseline(eva),
    "lora_ga": Baseline(lora_ga),
}
WITHOUT_ADAPTER = {"full": Baseline(full)}


def named(baselines: dict[str, Baseline]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("baseline", list(baselines.values()), ids=list(baselines))


def trained(folder: Path, baseline: Baseline) -> Run:
    run = Run(folder, baseline.settings, tuning=baseline.make())
    run.tuning.prepare(first_batches)
    run.train()
    return run


def loss_of(tuning: Tuning) -> float:
    batch = Collator(tiny.part(20), tiny.processor())(range(20))
    with torch.no_grad():
        return float(tuning.model.eval()(**batch).loss)


@named(BASELINES | WITHOUT_ADAPTER)
def test_it_learns(tmp_path: Path, baseline: Baseline) -> None:
    assert loss_of(trained(tmp_path, baseline).tuning) < loss_of(baseline.make()) - 0.1


@named(BASELINES | WITHOUT_ADAPTER)
def test_it_is_resumed_bitwise(tmp_path: Path, baseline: Baseline) -> None:
    whole = trained(tmp_path / "whole", baseline)
    folder = tmp_path / "cut"
    first = Run(folder, baseline.settings, tuning=baseline.make(), requests={2: "stop"})
    first.tuning.prepare(first_batches)
    first.train()
    second = Run(folder, baseline.settings, tuning=baseline.make())
    second.train(list_checkpoints(folder)[-1])
    expected, got = trained_tensors(whole.tuning), trained_tensors(second.tuning)
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in expected.items())
    assert second.tuning.ranks() == whole.tuning.ranks()
    assert first.moves() + second.moves() == whole.moves()
    rates = [run.trainer.plain_optimizer.param_groups for run in (whole, second)]
    assert [g["factor"] for g in rates[0]] == [g["factor"] for g in rates[1]]


@named(BASELINES)
def test_stock_peft_loads_its_export_to_the_same_logits(tmp_path: Path, baseline: Baseline) -> None:
    """Onto the base model as it is published, whatever was done to it at the start."""
    tuning = trained(tmp_path / "run", baseline).tuning
    tuning.export(tmp_path / "adapter", base_model_name="tiny")
    batch = Collator(tiny.part(20), tiny.processor())(range(8))
    difference, largest = reload_difference(
        tuning.model, tmp_path / "adapter", fresh_base=tiny.vlm().model, batch=batch
    )
    assert difference <= 1e-5 * max(1.0, largest)
    with torch.no_grad():
        moved = tuning.model.eval()(**batch).logits - tiny.vlm().model(**batch).logits
    assert float(moved.abs().max()) > 0.01
