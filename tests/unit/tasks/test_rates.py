"""Learning rates per module, and regrouping in the middle of a run."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from rankscope.models.lora.adalora import AdaLoraTuning
from rankscope.models.lora.dora import DoraTuning
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.scaling import Scaling
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.training_settings import OptimizerSettings
from rankscope.models.tuning import Tuning
from rankscope.tasks.rates import Rates, current_lr
from tests.unit.tasks import tiny

LR = 0.125
NUM_LAYERS = 2
DAMPED = {"kind": "damped_early", "factor_early": 0.5}


def elastic_lora() -> Tuning:
    return ElasticTuning(tiny.elastic_of(tiny.vlm(), 1))


def adalora() -> Tuning:
    vlm = tiny.vlm()
    inventory = tiny.inventory_of(vlm)
    return AdaLoraTuning(vlm.model, inventory, AdaLora(), budget=496, steps=6, scale=2.0)


def dora() -> Tuning:
    vlm = tiny.vlm()
    inventory = tiny.inventory_of(vlm)
    ranks = {module.name: 1 for module in inventory.modules}
    return DoraTuning(vlm.model, inventory, ranks, scaling=Scaling(2.0), seed=0)


TUNINGS = (elastic_lora, adalora, dora)


def rates_of(elastic: ElasticLora, layer_rates: dict[str, Any] | None = None) -> Rates:
    settings = OptimizerSettings.model_validate(
        {"lr": LR, "layer_rates": layer_rates or {"kind": "flat"}}
    )
    return Rates(settings, ElasticTuning(elastic).modules_of_parameters(), NUM_LAYERS)


def parameter(layer: int, kind: str) -> str:
    return f"base_model.model.{tiny.name_of(layer, kind)}.lora_A.default.weight"


def rates_by_name(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize(
    ("layer_rates", "by_layer"),
    [
        ({"kind": "flat"}, (1.0, 1.0)),
        (DAMPED, (0.5, 1.0)),
        ({"kind": "geometric", "ratio": 0.25}, (0.25, 1.0)),
    ],
)
def test_factors_by_hand(layer_rates: dict[str, Any], by_layer: tuple[float, float]) -> None:
    """Two layers: the first is early (0 < 0.5 * 2) and one below the last (0.25 ** 1).

    A planner's factor of 0.5 multiplies; what lies outside the adapters has factor 1.
    """
    rates = rates_of(tiny.elastic_of(tiny.vlm(), 1), layer_rates)
    planned = {tiny.name_of(0, "q_proj"): 0.5}
    assert rates.factor(parameter(0, "q_proj"), planned) == 0.5 * by_layer[0]
    assert rates.factor(parameter(0, "k_proj"), planned) == by_layer[0]
    assert rates.factor(parameter(1, "q_proj"), planned) == by_layer[1]
    assert rates.factor("base_model.model.projector.linear_1.weight", planned) == 1.0


def test_loras_b_learns_faster_on_top_of_all_other_factors() -> None:
    """LoRA+ with ratio 16: in the early layer at 0.5, under a planner's 0.25, 16 * 0.125 = 2."""
    settings = OptimizerSettings.model_validate({"lr": LR, "b_lr_ratio": 16, "layer_rates": DAMPED})
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    rates = Rates(settings, ElasticTuning(elastic).modules_of_parameters(), NUM_LAYERS)
    planned = {tiny.name_of(0, "q_proj"): 0.25}
    a, b = (parameter(0, "q_proj").replace("lora_A", factor) for factor in ("lora_A", "lora_B"))
    assert rates.factor(a, planned) == 0.125
    assert rates.factor(b, planned) == 2.0
    assert rates.factor("base_model.model.projector.linear_1.weight", planned) == 1.0
    groups = rates.groups(elastic.peft_model, planned)
    assert [group["factor"] for group in groups] == [16, 8, 2, 1, 0.5, 0.125]
    assert current_lr(adamw(groups)) == LR


@pytest.mark.parametrize("make", TUNINGS, ids=lambda make: make.__name__)
def test_every_tuning_that_has_a_b_has_its_rate_raised(make: Callable[[], Tuning]) -> None:
    tuning = make()
    settings = OptimizerSettings.model_validate({"lr": LR, "b_lr_ratio": 4})
    rates = Rates(settings, tuning.modules_of_parameters(), NUM_LAYERS)
    trained = [name for name, p in tuning.model.named_parameters() if p.requires_grad]
    raised = {name for name in trained if rates.factor(name, {}) == 4}
    assert raised == {name for name in trained if "lora_B" in name} != set()


def test_layer_rates_touch_the_language_model_only() -> None:
    path = "vision_tower.encoder.layers.0.self_attn.q_proj"
    settings = OptimizerSettings.model_validate({"lr": LR, "layer_rates": DAMPED})
    rates = Rates(settings, {"vision": path, "language": tiny.name_of(0, "q_proj")}, NUM_LAYERS)
    assert rates.factor("vision", {}) == 1.0
    assert rates.factor("language", {}) == 0.5


def test_parameters_of_equal_factor_share_a_group_the_largest_first() -> None:
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    groups = rates_of(elastic, DAMPED).groups(elastic.peft_model, {tiny.name_of(1, "q_proj"): 2.0})
    assert [(group["factor"], group["lr"]) for group in groups] == [
        (2, 0.25),
        (1, LR),
        (0.5, 0.0625),
    ]
    assert [len(group["params"]) for group in groups] == [2, 12, 14]
    grouped = [id(p) for group in groups for p in group["params"]]
    trained = [id(p) for p in elastic.peft_model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained)


def adamw(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, betas=(0.8, 0.9), weight_decay=0.01, fused=True)


def decay(step: int) -> float:
    return 1.0 / (1.0 + step)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, schedule: LambdaLR, seed: int
) -> None:
    """One step along gradients that follow from the seed and the order of the parameters."""
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.requires_grad:
            p.grad = torch.randn(p.shape, generator=generator)
    optimizer.step()
    schedule.step()


def test_after_regrouping_a_step_is_that_of_a_new_optimizer_with_the_old_state() -> None:
    planned = {tiny.name_of(0, "up_proj"): 0.25, tiny.name_of(1, "q_proj"): 0.5}
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    model, rates = elastic.peft_model, rates_of(elastic)
    optimizer = adamw(rates.groups(model, {}))
    schedule = LambdaLR(optimizer, decay)
    for seed in (1, 2, 3):
        train(model, optimizer, schedule, seed)

    other = tiny.elastic_of(tiny.vlm(), 1)
    other.load(elastic.state())
    fresh = adamw(rates.groups(other.peft_model, planned))
    pairs = zip(model.parameters(), other.peft_model.parameters(), strict=True)
    for old, new in pairs:
        if old.requires_grad:
            fresh.state[new] = copy.deepcopy(optimizer.state[old])
    for group in fresh.param_groups:
        group["lr"] *= decay(3)
    rates.regroup(model, planned, optimizer, schedule)
    generators = [torch.Generator().manual_seed(9) for _ in range(2)]
    for one, generator in zip((model, other.peft_model), generators, strict=True):
        for p in one.parameters():
            if p.requires_grad:
                p.grad = torch.randn(p.shape, generator=generator)
    optimizer.step()
    fresh.step()
    after, expected = elastic.state().tensors, other.state().tensors
    assert all(torch.equal(after[name], tensor) for name, tensor in expected.items())


def test_the_schedule_goes_on_after_regrouping_as_if_it_had_always_been_so() -> None:
    planned = {tiny.name_of(0, "up_proj"): 0.25}
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    model, rates = elastic.peft_model, rates_of(elastic)
    optimizer = adamw(rates.groups(model, {}))
    schedule = LambdaLR(optimizer, decay)
    train(model, optimizer, schedule, 1)
    rates.regroup(model, planned, optimizer, schedule)
    for step in (1, 2, 3):
        lrs = rates_by_name(model, optimizer)
        assert lrs[parameter(0, "up_proj")] == LR * 0.25 * decay(step)
        assert lrs[parameter(0, "q_proj")] == LR * decay(step)
        assert current_lr(optimizer) == LR * decay(step)
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        train(model, optimizer, schedule, step)


def test_parameters_replaced_by_a_resize_are_trained_after_regrouping() -> None:
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    model, rates = elastic.peft_model, rates_of(elastic)
    optimizer = adamw(rates.groups(model, {}))
    schedule = LambdaLR(optimizer, decay)
    train(model, optimizer, schedule, 1)
    grown, gone = tiny.name_of(0, "up_proj"), tiny.name_of(1, "up_proj")
    elastic.resize({grown: 2, gone: 0}, optimizer, budget=496)
    rates.regroup(model, {grown: 0.5}, optimizer, schedule)
    lrs = rates_by_name(model, optimizer)
    assert lrs.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert lrs[parameter(0, "up_proj")] == LR * 0.5 * decay(1)
    before = elastic.state().tensors
    train(model, optimizer, schedule, 2)
    after = elastic.state().tensors
    for name, tensor in after.items():
        assert tensor.numel() == 0 or not torch.equal(tensor, before[name])


def test_the_reported_rate_leaves_layer_factors_out() -> None:
    elastic = tiny.elastic_of(tiny.vlm(), 1)
    planned = dict.fromkeys(elastic.ranks(), 0.5)
    optimizer = adamw(rates_of(elastic).groups(elastic.peft_model, planned))
    assert optimizer.param_groups[0]["lr"] == LR / 2
    assert math.isclose(current_lr(optimizer), LR)
