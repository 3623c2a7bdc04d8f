"""What planners ask to be measured, against the same measured by hand."""

import pytest
import torch
from torch import Tensor

from rankscope.models.data.parts import VqaPart
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.probe import gradient_energy, weight_sensitivity
from rankscope.models.schedulers.contract import (
    GradientEnergy,
    GradientEnergyResult,
    HeldOutCredit,
    HeldOutCreditResult,
    KnockOut,
    KnockOutResult,
    Measure,
    ProbeLoss,
    ProbeLossResult,
    WeightSensitivity,
    WeightSensitivityResult,
)
from rankscope.models.vlms.loading import LoadedVlm
from rankscope.tasks.batches import Collator
from rankscope.tasks.measuring import Measurer
from tests.unit.tasks import tiny

GROUPS = {
    "layer 0": tuple(tiny.name_of(0, kind) for kind in ("q_proj", "up_proj")),
    "type down": tuple(tiny.name_of(layer, "down_proj") for layer in (0, 1)),
}


def losses_one_by_one(elastic: ElasticLora, vlm: LoadedVlm, part: VqaPart, num: int) -> Tensor:
    """The model's own loss of every item alone, in evaluation mode."""
    model = elastic.peft_model.eval()
    with torch.no_grad():
        losses = [float(model(**Collator(part, vlm.processor)([i])).loss) for i in range(num)]
    return torch.tensor(losses, dtype=torch.float64)


def test_knock_outs_are_the_paired_rises_with_the_modules_scaling_at_zero() -> None:
    vlm, probe = tiny.vlm(), tiny.part(8)
    elastic = tiny.elastic_of(vlm, 2)
    answer = Measurer(elastic, vlm, probe).answer(
        Measure(requests=(KnockOut(groups=GROUPS, num_items=6),))
    )
    result = answer.results[0]
    assert isinstance(result, KnockOutResult)
    on_I = losses_one_by_one(elastic, vlm, probe, 6)
    assert result.loss == pytest.approx(float(on_I.mean()), rel=1e-5)
    for group, names in GROUPS.items():
        layers = [elastic.layers.by_name[name] for name in names]
        for layer in layers:
            layer.scaling["default"] = 0.0
        rise_I = losses_one_by_one(elastic, vlm, probe, 6) - on_I
        for layer in layers:
            layer.scaling["default"] = 2.0
        assert abs(rise_I.mean()) > 1e-3
        assert result.rise[group] == pytest.approx(float(rise_I.mean()), abs=2e-6)
        assert result.rise_se[group] == pytest.approx(float(rise_I.std()) / 6**0.5, abs=2e-6)


def test_a_knock_out_leaves_every_adapter_switched_on_again() -> None:
    vlm, probe = tiny.vlm(), tiny.part(8)
    elastic = tiny.elastic_of(vlm, 1)
    before_I = losses_one_by_one(elastic, vlm, probe, 8)
    Measurer(elastic, vlm, probe).answer(Measure(requests=(KnockOut(groups=GROUPS, num_items=4),)))
    assert torch.equal(losses_one_by_one(elastic, vlm, probe, 8), before_I)
    assert {layer.scaling["default"] for layer in elastic.layers.by_name.values()} == {2.0}


def test_a_module_of_rank_zero_is_worth_exactly_nothing() -> None:
    vlm = tiny.vlm()
    elastic = tiny.elastic_of(vlm, 1)
    name = tiny.name_of(1, "q_proj")
    elastic.resize({name: 0}, None, budget=496)
    request = KnockOut(groups={"empty": (name,)}, num_items=5)
    result = Measurer(elastic, vlm, tiny.part(5)).answer(Measure(requests=(request,))).results[0]
    assert isinstance(result, KnockOutResult)
    assert (result.rise, result.rise_se) == ({"empty": 0.0}, {"empty": 0.0})


def test_the_probe_loss_of_more_items_than_one_pass_holds_is_their_mean() -> None:
    vlm, probe = tiny.vlm(), tiny.part(130)
    elastic = tiny.elastic_of(vlm, 1)
    answer = Measurer(elastic, vlm, probe).answer(Measure(requests=(ProbeLoss(num_items=130),)))
    result = answer.results[0]
    assert isinstance(result, ProbeLossResult)
    losses_I = losses_one_by_one(elastic, vlm, probe, 130)
    assert result.loss == pytest.approx(float(losses_I.mean()), rel=1e-5)
    assert result.loss_se == pytest.approx(float(losses_I.std()) / 130**0.5, rel=1e-4)


def test_one_item_has_no_known_error() -> None:
    vlm = tiny.vlm()
    elastic = tiny.elastic_of(vlm, 1)
    request = Measure(requests=(ProbeLoss(num_items=1),))
    result = Measurer(elastic, vlm, tiny.part(3)).answer(request).results[0]
    assert isinstance(result, ProbeLossResult)
    assert result.loss_se == 0.0


def test_gradient_energy_is_that_of_the_first_probe_items() -> None:
    vlm, probe = tiny.vlm(), tiny.part(8)
    elastic = tiny.elastic_of(vlm, 1)
    request = Measure(requests=(GradientEnergy(num_items=5),))
    result = Measurer(elastic, vlm, probe).answer(request).results[0]
    assert isinstance(result, GradientEnergyResult)
    batch = Collator(probe, vlm.processor)(range(5))
    assert result.energy == gradient_energy(elastic, list(elastic.ranks()), [batch])
    assert all(parameter.grad is None for parameter in elastic.peft_model.parameters())


def test_weight_sensitivity_is_that_of_the_first_probe_items() -> None:
    vlm, probe = tiny.vlm(), tiny.part(8)
    elastic = tiny.elastic_of(vlm, 1)
    request = Measure(requests=(WeightSensitivity(num_items=5),))
    result = Measurer(elastic, vlm, probe).answer(request).results[0]
    assert isinstance(result, WeightSensitivityResult)
    batch = Collator(probe, vlm.processor)(range(5))
    assert result.sensitivity == weight_sensitivity(elastic, list(elastic.ranks()), [batch])


def test_held_out_credit_is_that_of_every_item_alone_with_its_error() -> None:
    vlm, probe = tiny.vlm(), tiny.part(8)
    elastic = tiny.elastic_of(vlm, 2)
    request = Measure(requests=(HeldOutCredit(num_items=8),))
    result = Measurer(elastic, vlm, probe).answer(request).results[0]
    assert isinstance(result, HeldOutCreditResult)
    model, names = elastic.peft_model.eval(), list(elastic.ranks())
    factors = [elastic.parameters_of(name)[1] for name in names]
    rows = []
    for item in range(8):
        gradients = torch.autograd.grad(
            model(**Collator(probe, vlm.processor)([item])).loss, factors
        )
        rows.append(
            [-float((g * b.detach()).sum()) for g, b in zip(gradients, factors, strict=True)]
        )
    credit_IM = torch.tensor(rows, dtype=torch.float64)
    for column, name in enumerate(names):
        credit_I = credit_IM[:, column]
        assert result.credit[name] == pytest.approx(float(credit_I.mean()), rel=1e-3, abs=1e-6)
        assert result.credit_se[name] == pytest.approx(float(credit_I.std()) / 8**0.5, rel=1e-3)
        assert result.fisher[name] == pytest.approx(float(credit_I.square().mean()), rel=1e-3)
    losses_I = losses_one_by_one(elastic, vlm, probe, 8)
    assert result.loss == pytest.approx(float(losses_I.mean()), rel=1e-5)
    assert result.loss_se == pytest.approx(float(losses_I.std()) / 8**0.5, rel=1e-4)
    assert all(parameter.grad is None for parameter in elastic.peft_model.parameters())


def test_answers_come_in_the_order_asked_with_their_price() -> None:
    """Loss: 3; knock-outs: (2 groups + 1) * 4 = 12; gradients: 3 * 2 = 6 and 3; credit: 3 * 3."""
    vlm = tiny.vlm()
    measurer = Measurer(tiny.elastic_of(vlm, 1), vlm, tiny.part(8))
    answer = measurer.answer(
        Measure(
            requests=(
                ProbeLoss(num_items=3),
                KnockOut(groups=GROUPS, num_items=4),
                GradientEnergy(num_items=2),
                HeldOutCredit(num_items=3),
                WeightSensitivity(num_items=1),
            )
        )
    )
    assert [result.kind for result in answer.results] == [
        "probe_loss",
        "knock_out",
        "gradient_energy",
        "held_out_credit",
        "weight_sensitivity",
    ]
    assert answer.cost_items == 33
    assert answer.cost_s > 0


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_measuring_is_in_evaluation_mode_and_restores_the_models_own(mode: str) -> None:
    vlm = tiny.vlm()
    elastic = tiny.elastic_of(vlm, 1)
    elastic.peft_model.train(mode == "train")
    modes: list[bool] = []
    elastic.peft_model.register_forward_pre_hook(lambda model, _: modes.append(model.training))
    measurer = Measurer(elastic, vlm, tiny.part(4))
    measurer.answer(Measure(requests=(ProbeLoss(num_items=2), GradientEnergy(num_items=2))))
    assert elastic.peft_model.training is (mode == "train")
    assert modes == [False, False]
    with pytest.raises(ValueError, match="only adapted modules"):
        measurer.answer(Measure(requests=(KnockOut(groups={"x": ("no",)}, num_items=2),)))
    assert elastic.peft_model.training is (mode == "train")


def test_more_probe_items_than_there_are_is_refused() -> None:
    vlm = tiny.vlm()
    measurer = Measurer(tiny.elastic_of(vlm, 1), vlm, tiny.part(4))
    for request in (
        ProbeLoss(num_items=5),
        KnockOut(groups=GROUPS, num_items=5),
        GradientEnergy(num_items=5),
        HeldOutCredit(num_items=5),
        WeightSensitivity(num_items=5),
    ):
        with pytest.raises(
            ValueError, match="at most the 4 probe items, got 5; lower its number of probe items"
        ):
            measurer.answer(Measure(requests=(request,)))
