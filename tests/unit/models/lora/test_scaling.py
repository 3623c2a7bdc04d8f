"""rsLoRA's scale: by rank, through resizes, checkpoints and export."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import export, reload_difference
from rankscope.models.lora.inventory import find_modules
from rankscope.models.lora.scaling import Scaling

MakeLlama = Callable[[], LlamaForCausalLM]
UP0, DOWN0 = "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj"
RANKS = {UP0: 4, DOWN0: 2}


def rs_elastic(make_llama: MakeLlama, ranks: Mapping[str, int] = RANKS) -> ElasticLora:
    """Two modules adapted, the reference rank is 3, alpha / 3 is 2; B is not zero."""
    model = make_llama()
    inventory = find_modules(model, "up_proj|down_proj", frozenset({"language"}))
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0, rs_rank=3.0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name in ranks:
            elastic.parameters_of(name)[1].normal_(std=0.3, generator=generator)
    return elastic


def product(elastic: ElasticLora, name: str) -> Tensor:
    a, b = elastic.parameters_of(name)
    scale: float = elastic.layers.by_name[name].scaling["default"]
    return (scale * b @ a).detach()


def gradients(elastic: ElasticLora, name: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    loss = elastic.peft_model(**batch).loss
    return torch.autograd.grad(loss, elastic.parameters_of(name))


def test_the_scale_by_hand() -> None:
    """Alpha is 2 * 3 = 6: over the root of 4 it is 3, of 9 it is 2."""
    scaling = Scaling(2.0, rs_rank=3.0)
    assert [scaling.at(rank) for rank in (0, 1, 4, 9)] == [6.0, 6.0, 3.0, 2.0]
    assert {Scaling(2.0).at(rank) for rank in (0, 1, 4, 9)} == {2.0}


def test_every_layer_has_the_scale_of_its_rank(make_llama: MakeLlama) -> None:
    elastic = rs_elastic(make_llama)
    scales = {UP0: 3.0, DOWN0: 6 / math.sqrt(2)}
    assert elastic.layers.scales().items() >= scales.items()
    for name, scale in scales.items():
        assert elastic.layers.by_name[name].scaling == {"default": scale}


@pytest.mark.parametrize("new_rank", [1, 9])
def test_a_resize_leaves_the_function_or_truncates_it_as_reported(
    make_llama: MakeLlama, new_rank: int
) -> None:
    elastic = rs_elastic(make_llama)
    before = product(elastic, UP0)
    (move,) = elastic.resize({UP0: new_rank}, None, budget=10**6).modules
    change = float((product(elastic, UP0) - before).norm())
    assert change == pytest.approx(move.truncation_error, abs=1e-5)
    assert move.truncation_error == pytest.approx(move.predicted_error, abs=1e-5)
    assert (change > 0.1) == (new_rank < 4)
    assert elastic.layers.by_name[UP0].scaling == {"default": 6 / math.sqrt(new_rank)}


def test_as_gradients_change_with_the_scale_so_do_the_optimizers_moments(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    """From rank 4 to 9 the scale falls from 3 to 2: B's gradients are 2/3, its squares 4/9."""
    elastic = rs_elastic(make_llama)
    a, b = elastic.parameters_of(UP0)
    optimizer = torch.optim.AdamW(
        [p for p in elastic.peft_model.parameters() if p.requires_grad], lr=1e-3
    )
    elastic.peft_model(**token_batch).loss.backward()
    optimizer.step()
    gradient_a, gradient_b = gradients(elastic, UP0, token_batch)
    old = {name: dict(optimizer.state[p]) for name, p in (("a", a), ("b", b))}
    elastic.resize({UP0: 9}, optimizer, budget=10**6)
    new_a, new_b = elastic.parameters_of(UP0)
    grown_a, grown_b = gradients(elastic, UP0, token_batch)
    torch.testing.assert_close(grown_a[:4], gradient_a, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(grown_b[:, :4], gradient_b * 2 / 3, rtol=1e-4, atol=1e-7)
    first, second = (optimizer.state[new_b][key] for key in ("exp_avg", "exp_avg_sq"))
    torch.testing.assert_close(first[:, :4], old["b"]["exp_avg"] * 2 / 3)
    torch.testing.assert_close(second[:, :4], old["b"]["exp_avg_sq"] * 4 / 9)
    assert torch.equal(optimizer.state[new_a]["exp_avg"][:4], old["a"]["exp_avg"])


def test_a_checkpoint_brings_the_scales_back_with_the_ranks(make_llama: MakeLlama) -> None:
    elastic, other = rs_elastic(make_llama), rs_elastic(make_llama, {UP0: 1})
    other.load(elastic.state())
    assert other.layers.scales() == elastic.layers.scales()
    assert torch.equal(product(other, UP0), product(elastic, UP0))


def test_a_module_switched_off_gets_its_own_scale_back(make_llama: MakeLlama) -> None:
    elastic = rs_elastic(make_llama)
    with elastic.switched_off([UP0]):
        assert elastic.layers.by_name[UP0].scaling == {"default": 0.0}
    assert elastic.layers.by_name[UP0].scaling == {"default": 3.0}


def test_an_export_names_every_modules_alpha_and_reloads(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], tmp_path: Path
) -> None:
    """Alpha is 3 * 4 = 12 at rank 4, and 6 / sqrt 2 * 2 at rank 2, so that peft needs no rsLoRA."""
    elastic = rs_elastic(make_llama)
    export(elastic, tmp_path, base_model_name="tiny")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (4, 12.0, False)
    (alpha,) = config["alpha_pattern"].values()
    assert alpha == pytest.approx(12 / math.sqrt(2))
    difference, _ = reload_difference(
        elastic.peft_model, tmp_path, fresh_base=make_llama(), batch=token_batch
    )
    assert difference < 1e-6
