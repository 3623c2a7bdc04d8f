"""LoRA-GA's start: peft's own, made up for in the base weights, through checkpoints and export."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.config import LoraGAConfig
from peft.tuners.lora.loraga import preprocess_loraga
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.export import reload_difference
from rankscope.models.lora.inventory import find_modules
from rankscope.models.lora.lora_ga import LoraGaTuning
from rankscope.models.schedulers.lora_ga import LoraGa

MakeLlama = Callable[[], LlamaForCausalLM]
EMPTY, WIDE = "model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"
SETTINGS = LoraGa(num_batches=2)


def batches(num_batches: int) -> Iterator[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    for _ in range(num_batches):
        ids = torch.randint(0, 64, (4, 6), generator=generator)
        yield {"input_ids": ids, "labels": ids}


def tuning_of(make_llama: MakeLlama, *, seed: int = 0) -> LoraGaTuning:
    """Rank 1 everywhere, but 3 on one module and 0 on another."""
    model = make_llama().requires_grad_(requires_grad=False)
    inventory = find_modules(model, ".*_proj", frozenset({"language"}))
    ranks = {module.name: 1 for module in inventory.modules} | {EMPTY: 0, WIDE: 3}
    elastic = ElasticLora(model, inventory, ranks, scale=2.0, seed=0)
    return LoraGaTuning(elastic, SETTINGS, seed=seed)


def logits(model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(**batch).logits
    return result


def base_weights(tuning: LoraGaTuning) -> dict[str, Tensor]:
    return {name: tuning.elastic.base_linear(name).weight for name in tuning.ranks()}


def train(tuning: LoraGaTuning, batch: dict[str, Tensor]) -> None:
    optimizer = torch.optim.SGD([p for p in tuning.model.parameters() if p.requires_grad], 0.5)
    for _ in range(3):
        tuning.model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_it_starts_where_peft_starts(make_llama: MakeLlama) -> None:
    """The same gradient and the same draws give peft's A, B and base weight."""
    model = make_llama().requires_grad_(requires_grad=False)
    inventory = find_modules(model, "up_proj", frozenset({"language"}))
    elastic = ElasticLora(model, inventory, {WIDE: 2}, scale=2.0, seed=0)
    LoraGaTuning(elastic, SETTINGS, seed=5).prepare(batches)

    other = make_llama()
    options = LoraGAConfig()
    config = LoraConfig(r=2, lora_alpha=4, target_modules=[WIDE], lora_ga_config=options)

    def pass_by() -> None:
        for batch in batches(2):
            other(**batch).loss.backward()

    preprocess_loraga(other, config, pass_by)
    layer: Any = get_peft_model(other, config).get_base_model().get_submodule(WIDE)
    torch.manual_seed(5)
    layer.lora_ga_init("default", options)
    a_RI, b_OR = elastic.parameters_of(WIDE)
    torch.testing.assert_close(a_RI, layer.lora_A["default"].weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(b_OR, layer.lora_B["default"].weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(elastic.base_linear(WIDE).weight, layer.base_layer.weight)


def test_the_function_stays_and_so_does_what_is_trained(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    """Rank 1 on all is 992 parameters; one up_proj less, two ranks of another more: 1072."""
    tuning = tuning_of(make_llama)
    random_state = torch.get_rng_state()
    done = tuning.prepare(batches)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (done.cost_items, tuning.live_params()) == (3 * 8, 1072)
    assert done.text.startswith("LoRA-GA: 13 of 14 modules start on the gradient of 8 training")
    _, b_OR = tuning.elastic.parameters_of(WIDE)
    assert float(b_OR.detach().norm()) > 1e-3
    assert torch.allclose(
        logits(tuning.model, token_batch), logits(make_llama(), token_batch), atol=1e-5
    )
    trained = {name for name, p in tuning.model.named_parameters() if p.requires_grad}
    assert trained == set(tuning.modules_of_parameters())
    assert all(p.grad is None for p in tuning.model.parameters())


def test_a_resumed_model_is_bitwise_the_one_that_was_stopped(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    first, second = tuning_of(make_llama), tuning_of(make_llama, seed=9)
    first.prepare(batches)
    train(first, token_batch)
    saved = {name: tensor.detach().clone() for name, tensor in first.state().items()}
    second.load(first.ranks(), saved)
    weights = base_weights(second)
    assert all(torch.equal(weights[name], w) for name, w in base_weights(first).items())
    train(first, token_batch)
    train(second, token_batch)
    assert second.state().keys() == first.state().keys()
    assert all(torch.equal(second.state()[n], tensor) for n, tensor in first.state().items())
    with pytest.raises(RuntimeError, match="this one has set out; build it anew"):
        second.load(first.ranks(), saved)


def test_an_export_of_twice_the_rank_does_the_same_on_the_published_base(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], tmp_path: Path
) -> None:
    tuning = tuning_of(make_llama)
    tuning.prepare(batches)
    train(tuning, token_batch)
    tuning.export(tmp_path, base_model_name="tiny")
    written = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in written.values()) == 2 * tuning.live_params()
    difference, _ = reload_difference(
        tuning.model, tmp_path, fresh_base=make_llama(), batch=token_batch
    )
    assert difference <= 1e-5
    assert not torch.allclose(
        logits(tuning.model, token_batch), logits(make_llama(), token_batch), atol=1e-2
    )
