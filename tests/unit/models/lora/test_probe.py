from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.probe import gradient_energy, weight_sensitivity

MakeElasticLlama = Callable[[int | Mapping[str, int]], ElasticLora]


class OneLinear(nn.Module):
    """Loss of an item: the weighted sum of its tokens' outputs, so G_i = weights_i' x_i."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_in, d_out, bias=False)
        self.unused = nn.Linear(d_in, d_out, bias=False)

    def forward(self, x: Tensor, weights: Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=(self.up(x) * weights).flatten(1).sum(dim=1).mean())


def batch(*items: tuple[list[float], list[float]]) -> dict[str, Tensor]:
    """Items of one token each: (input, output gradient)."""
    x, weights = zip(*items, strict=True)
    return {"x": torch.tensor(x)[:, None], "weights": torch.tensor(weights)[:, None]}


def by_hand(gradients_NOI: Tensor) -> float:
    """The definition, with every gradient stored."""
    squares_OI = gradients_NOI.square().mean(dim=0)
    fit_OI = torch.outer(squares_OI.sum(dim=1), squares_OI.sum(dim=0)) / squares_OI.sum()
    return float((gradients_NOI.mean(dim=0).square() / fit_OI).sum())


def test_items_that_agree_reach_the_number_of_weights() -> None:
    """G = (1, 2)' (3, 1, 2) twice: G^2 is of rank 1, so Gbar^2 / V = 1 in all 6 entries."""
    one = ([3.0, 1.0, 2.0], [1.0, 2.0])
    energy = gradient_energy(OneLinear(3, 2), ["up"], [batch(one, one)])
    assert energy == pytest.approx({"up": 6.0})


def test_items_that_cancel_have_no_energy() -> None:
    plus, minus = ([3.0, 1.0, 2.0], [1.0, 2.0]), ([3.0, 1.0, 2.0], [-1.0, -2.0])
    assert gradient_energy(OneLinear(3, 2), ["up"], [batch(plus, minus)]) == {"up": 0.0}


def test_unrelated_items_have_the_number_of_weights_over_the_number_of_items() -> None:
    """Independent signs: E[Gbar^2] = E[G^2] / 64, so about 40 * 30 / 64 = 18.75."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 30, 30, generator=generator)
    weights = torch.randn(64, 30, 40, generator=generator)
    energy = gradient_energy(OneLinear(30, 40), ["up"], [{"x": x, "weights": weights}])
    assert energy["up"] == pytest.approx(18.75, rel=0.1)


def test_energy_does_not_depend_on_the_scale_of_the_loss_or_the_batching() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, 5, generator=generator)
    weights = torch.randn(6, 4, 7, generator=generator) + 0.3
    model = OneLinear(5, 7)
    whole = gradient_energy(model, ["up"], [{"x": x, "weights": weights}])
    tiny = gradient_energy(model, ["up"], [{"x": x, "weights": weights * 1e-8}])
    parts = [{"x": x[s], "weights": weights[s]} for s in (slice(1), slice(1, 3), slice(3, 6))]
    split = gradient_energy(model, ["up"], parts)
    expected = by_hand(torch.einsum("nto,nti->noi", weights, x).double())
    assert whole == pytest.approx({"up": expected}, rel=1e-5)
    assert tiny == pytest.approx(whole, rel=1e-5)
    assert split == pytest.approx(whole, rel=1e-5)


def test_a_module_that_is_never_used_has_no_energy() -> None:
    model = OneLinear(3, 2)
    energy = gradient_energy(model, ["unused", "up"], [batch(([1.0, 0.0, 2.0], [1.0, 0.0]))])
    assert energy["unused"] == 0.0
    assert energy["up"] == pytest.approx(2.0)


@pytest.mark.parametrize("rank", [0, 2])
def test_energy_in_a_llama_agrees_with_autograd_item_by_item(
    make_llama: Callable[[], LlamaForCausalLM],
    make_elastic_llama: MakeElasticLlama,
    token_batch: dict[str, Tensor],
    rank: int,
) -> None:
    elastic = make_elastic_llama(rank)
    names = list(elastic.ranks())
    energy = gradient_energy(elastic, names, [token_batch])
    model = make_llama().train(mode=False)
    parameters = [model.get_parameter(f"{name}.weight") for name in names]
    items = []
    for item in range(4):
        loss = model(**{key: value[item : item + 1] for key, value in token_batch.items()}).loss
        items.append(torch.autograd.grad(loss, parameters))
    for index, name in enumerate(names):
        stacked = torch.stack([gradients[index] for gradients in items]).double()
        assert energy[name] == pytest.approx(by_hand(stacked), rel=1e-4)


def test_energy_is_taken_at_the_present_adapters_and_not_at_the_base_model(
    make_llama: Callable[[], LlamaForCausalLM],
    make_elastic_llama: MakeElasticLlama,
    token_batch: dict[str, Tensor],
) -> None:
    """A plain model whose weights hold s B A, with s = 2, has the same gradients."""
    elastic = make_elastic_llama(2)
    names = list(elastic.ranks())
    start = gradient_energy(elastic, names, [token_batch])
    merged = make_llama()
    with torch.no_grad():
        for name in names:
            a_RI, b_OR = elastic.parameters_of(name)
            b_OR.normal_(std=0.3, generator=torch.Generator().manual_seed(2))
            merged.get_parameter(f"{name}.weight").add_(2.0 * b_OR @ a_RI)
    trained = gradient_energy(elastic, names, [token_batch])
    assert trained == pytest.approx(gradient_energy(merged, names, [token_batch]), rel=1e-3)
    assert trained != pytest.approx(start, rel=0.1)


def test_sensitivity_is_the_mean_of_the_weight_times_its_mean_gradient(
    make_llama: Callable[[], LlamaForCausalLM],
    make_elastic_llama: MakeElasticLlama,
    token_batch: dict[str, Tensor],
) -> None:
    elastic = make_elastic_llama(1)
    names = list(elastic.ranks())
    parts = [{k: v[s] for k, v in token_batch.items()} for s in (slice(3), slice(3, 4))]
    sensitivity = weight_sensitivity(elastic, names, parts, max_elements=1500)
    model = make_llama().train(mode=False)
    parameters = [model.get_parameter(f"{name}.weight") for name in names]
    gradients = torch.autograd.grad(model(**token_batch).loss, parameters)
    for name, weight, gradient in zip(names, parameters, gradients, strict=True):
        expected = (weight.detach() * gradient).abs().mean().item()
        assert sensitivity[name] == pytest.approx(expected, rel=1e-3)


def test_small_groups_give_the_same_energy_as_one(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(1)
    names = list(elastic.ranks())
    whole = gradient_energy(elastic, names, [token_batch])
    assert gradient_energy(elastic, names, [token_batch], max_elements=1500) == whole
    assert list(whole) == names


def test_probing_leaves_gradients_mode_and_hooks_as_they_were(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(1)
    elastic.peft_model(**token_batch).loss.backward()
    names = list(elastic.ranks())
    before = [p.grad.clone() for p in elastic.peft_model.parameters() if p.grad is not None]
    with torch.no_grad():
        gradient_energy(elastic, names, [token_batch])
    after = [p.grad for p in elastic.peft_model.parameters() if p.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert elastic.peft_model.training
    assert not any(elastic.base_linear(name)._forward_hooks for name in names)


def test_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one batch, got none"):
        gradient_energy(OneLinear(3, 2), ["up"], [])


def test_rows_that_cannot_be_dealt_out_to_items_are_refused() -> None:
    class Uneven(OneLinear):
        def forward(self, x: Tensor, weights: Tensor) -> SimpleNamespace:
            return SimpleNamespace(loss=self.up(x.flatten(0, 1)[:3]).sum() * weights.sum())

    items = {"x": torch.ones(2, 2, 3), "weights": torch.ones(2, 2, 2)}
    with pytest.raises(ValueError, match=r"must see its batch's 2 items .* got 3 rows"):
        gradient_energy(Uneven(3, 2), ["up"], [items])
