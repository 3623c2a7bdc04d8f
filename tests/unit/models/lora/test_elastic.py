from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from peft.tuners.lora import Linear as PeftLinear
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from rankscope.models.inventory import Inventory, Part
from rankscope.models.lora.attach import kaiming_rows
from rankscope.models.lora.elastic import ElasticLora, LoraState
from rankscope.models.lora.inventory import find_modules

MakeElasticLlama = Callable[[int | Mapping[str, int]], ElasticLora]
MakeElasticLinears = Callable[[Sequence[tuple[int, int]], Sequence[int]], ElasticLora]
LANGUAGE: frozenset[Part] = frozenset({"language"})


def logits(elastic: ElasticLora, batch: Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        result: Tensor = elastic.peft_model(**batch).logits
    return result


def stir(elastic: ElasticLora) -> None:
    """Give every B a value, as training would."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name in elastic.ranks():
            elastic.parameters_of(name)[1].normal_(std=0.1, generator=generator)


def test_adapters_start_without_changing_the_model(
    make_llama: Callable[[], LlamaForCausalLM],
    make_elastic_llama: MakeElasticLlama,
    token_batch: dict[str, Tensor],
) -> None:
    with torch.no_grad():
        before = make_llama()(**token_batch).logits
    assert torch.equal(logits(make_elastic_llama(3), token_batch), before)


def test_layers_are_pefts_own_and_only_adapters_train(make_elastic_llama: MakeElasticLlama) -> None:
    elastic = make_elastic_llama(2)
    assert all(type(layer) is PeftLinear for layer in elastic.layers.by_name.values())
    trainable = [n for n, p in elastic.peft_model.named_parameters() if p.requires_grad]
    assert len(trainable) == 2 * len(elastic.ranks())
    assert all(".lora_" in name for name in trainable)


def test_live_params_are_counted_in_the_tensors(make_elastic_linears: MakeElasticLinears) -> None:
    """Ranks 3, 0, 2 of costs 4+5, 6+7, 8+9: 27 + 0 + 34 = 61."""
    elastic = make_elastic_linears([(4, 5), (6, 7), (8, 9)], [3, 0, 2])
    assert elastic.live_params() == 61
    a, b = elastic.parameters_of("layers.1")
    assert (a.shape, b.shape) == ((0, 6), (7, 0))


def test_books_that_disagree_with_a_tensor_are_noticed(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5)], [3])
    elastic.layers.linear("layers.0", "A").weight = nn.Parameter(torch.zeros(2, 4))
    with pytest.raises(RuntimeError, match="booked rank 3, got A"):
        elastic.check()


def test_an_adapter_that_the_inventory_does_not_know_is_noticed(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5)], [3])
    extra = nn.Module()
    extra.add_module("lora_A", nn.Linear(2, 2, bias=False))
    elastic.peft_model.add_module("extra", extra)
    with pytest.raises(RuntimeError, match="must equal the booked 27, got 31"):
        elastic.check()


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"layers.9": 1}, "must name adapted modules, got 'layers.9'"),
        ({"layers.0": 5}, r"must lie in 0\.\.4 .* got 5; lower it"),
        ({"layers.0": -1}, r"got -1; raise it"),
    ],
)
def test_impossible_ranks_are_refused(
    make_elastic_linears: MakeElasticLinears, ranks: dict[str, int], message: str
) -> None:
    inventory = make_elastic_linears([(4, 5)], [1]).inventory
    model = nn.Module()
    model.add_module("layers", nn.ModuleList([nn.Linear(4, 5)]))
    with pytest.raises(ValueError, match=message):
        ElasticLora(model, inventory, ranks, scale=1.0, seed=0)


def test_a_name_that_is_a_suffix_of_another_adapts_that_module_alone() -> None:
    model = nn.Module()
    model.add_module("up", nn.Linear(3, 3))
    inner = nn.Module()
    inner.add_module("up", nn.Linear(3, 3))
    model.add_module("inner", inner)
    both = find_modules(model, "up", LANGUAGE)
    outer = Inventory(modules=both.modules[:1], total_params=both.total_params)
    elastic = ElasticLora(model, outer, {"up": 2}, scale=1.0, seed=0)
    assert type(inner.up) is nn.Linear
    assert elastic.live_params() == 12


def test_first_rows_depend_on_seed_and_name_not_on_module_order(
    make_llama: Callable[[], LlamaForCausalLM],
) -> None:
    model = make_llama()
    inventory = find_modules(model, "q_proj|k_proj", LANGUAGE)
    reversed_ = inventory.model_copy(update={"modules": inventory.modules[::-1]})
    ranks = {module.name: 2 for module in inventory.modules}
    one = ElasticLora(model, inventory, ranks, scale=1.0, seed=7)
    torch.manual_seed(99)
    other = ElasticLora(make_llama(), reversed_, ranks, scale=1.0, seed=7)
    for name in ranks:
        assert torch.equal(one.parameters_of(name)[0], other.parameters_of(name)[0])


def test_new_rows_have_kaimings_bound_and_differ_by_seed_name_and_event() -> None:
    """Uniform in +-1/sqrt(64): row norm about sqrt(1/3) = 0.577, the figure of ALGORITHMS 3.3."""
    rows = kaiming_rows(200, 64, seed=0, name="a", num_resizes=0)
    assert float(rows.abs().max()) <= 0.125
    assert float(rows.norm(dim=1).mean()) == pytest.approx(0.577, abs=0.01)
    others = [
        kaiming_rows(200, 64, seed=1, name="a", num_resizes=0),
        kaiming_rows(200, 64, seed=0, name="b", num_resizes=0),
        kaiming_rows(200, 64, seed=0, name="a", num_resizes=1),
    ]
    assert not any(torch.equal(rows, other) for other in others)
    assert torch.equal(rows, kaiming_rows(200, 64, seed=0, name="a", num_resizes=0))


def test_a_switched_off_module_contributes_nothing_and_comes_back(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(2)
    untouched = logits(elastic, token_batch)
    stir(elastic)
    trained = logits(elastic, token_batch)
    with elastic.switched_off(tuple(elastic.ranks())):
        assert torch.equal(logits(elastic, token_batch), untouched)
    with elastic.switched_off(["model.layers.0.mlp.up_proj"]):
        assert not torch.equal(logits(elastic, token_batch), trained)
    assert torch.equal(logits(elastic, token_batch), trained)


def test_switching_off_ends_even_when_the_block_fails_or_is_nested(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5), (6, 7)], [1, 1])
    scalings = [layer.scaling for layer in elastic.layers.by_name.values()]
    with elastic.switched_off(["layers.0"]):
        with (
            pytest.raises(ZeroDivisionError),
            elastic.switched_off(["layers.0", "layers.1"]),
        ):
            raise ZeroDivisionError
        assert scalings == [{"default": 0.0}, {"default": 1.5}]
    assert scalings == [{"default": 1.5}, {"default": 1.5}]


def test_only_adapted_modules_can_be_switched_off(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(4, 5)], [1])
    with (
        pytest.raises(ValueError, match="can be switched off, got 'lm_head'"),
        elastic.switched_off(["layers.0", "lm_head"]),
    ):
        pass
    assert elastic.layers.by_name["layers.0"].scaling == {"default": 1.5}


def test_a_saved_state_rebuilds_shapes_and_bits(
    make_elastic_llama: MakeElasticLlama, token_batch: dict[str, Tensor]
) -> None:
    elastic = make_elastic_llama(2)
    stir(elastic)
    names = list(elastic.ranks())
    elastic.resize({names[0]: 0, names[1]: 5}, None, budget=10**6)
    state, expected = elastic.state(), logits(elastic, token_batch)
    other = make_elastic_llama(1)
    other.load(state)
    assert other.ranks() == elastic.ranks()
    assert torch.equal(logits(other, token_batch), expected)
    assert all(torch.equal(tensor, other.state().tensors[k]) for k, tensor in state.tensors.items())
    for one in (elastic, other):
        one.resize({names[0]: 3}, None, budget=10**6)
    assert torch.equal(elastic.parameters_of(names[0])[0], other.parameters_of(names[0])[0])


def test_a_state_is_a_copy(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(4, 5)], [2])
    state = elastic.state()
    with torch.no_grad():
        elastic.parameters_of("layers.0")[1].zero_()
    assert state.tensors["layers.0.lora_B"].any()


def test_a_state_of_other_modules_or_shapes_is_refused_untouched(
    make_elastic_linears: MakeElasticLinears,
) -> None:
    elastic = make_elastic_linears([(4, 5), (6, 7)], [2, 2])
    before = elastic.state()
    foreign = make_elastic_linears([(4, 5)], [2]).state()
    with pytest.raises(ValueError, match=r"got a difference at 'layers\.1'"):
        elastic.load(foreign)
    broken = LoraState({"layers.0": 3, "layers.1": 3}, 0, before.tensors)
    with pytest.raises(ValueError, match=r"lora_A must have the shape \(3, 4\)"):
        elastic.load(broken)
    assert elastic.ranks() == {"layers.0": 2, "layers.1": 2}


def test_pefts_own_config_follows_the_ranks(make_elastic_linears: MakeElasticLinears) -> None:
    elastic = make_elastic_linears([(4, 5), (6, 7)], [2, 1])
    elastic.resize({"layers.0": 1, "layers.1": 3}, None, budget=100)
    config = elastic.peft_model.peft_config["default"].to_dict()
    assert config["rank_pattern"] == {r"^layers\.0": 1, r"^layers\.1": 3}
    assert config["alpha_pattern"] == {r"^layers\.0": 1.5, r"^layers\.1": 4.5}
