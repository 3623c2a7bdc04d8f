"""peft's DoRA in our loop: its start, what counts as live, checkpoints and export."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import LlamaForCausalLM

from rankscope.models.lora.attach import kaiming_rows
from rankscope.models.lora.dora import DoraTuning
from rankscope.models.lora.inventory import find_modules
from rankscope.models.lora.scaling import Scaling

MakeLlama = Callable[[], LlamaForCausalLM]
LEFT_OUT = "model.layers.1.mlp.up_proj"
WIDER = "model.layers.0.self_attn.q_proj"


def tuning_of(make_llama: MakeLlama, *, seed: int = 0) -> DoraTuning:
    """Rank 1 on 14 modules, but 3 on one and none on another; rsLoRA's scale of reference 2."""
    model = make_llama().requires_grad_(requires_grad=False)
    inventory = find_modules(model, ".*_proj", frozenset({"language"}))
    ranks = {module.name: 1 for module in inventory.modules} | {WIDER: 3, LEFT_OUT: 0}
    return DoraTuning(model, inventory, ranks, scaling=Scaling(2.0, 2.0), seed=seed)


def train(tuning: DoraTuning, batch: dict[str, Tensor]) -> None:
    optimizer = torch.optim.AdamW([p for p in tuning.model.parameters() if p.requires_grad], 0.05)
    for _ in range(3):
        tuning.model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def logits(model: torch.nn.Module, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(**batch).logits
    return result


def test_it_starts_as_the_base_model_with_plain_loras_rows(
    make_llama: MakeLlama, token_batch: dict[str, Tensor]
) -> None:
    tuning = tuning_of(make_llama, seed=4)
    assert torch.allclose(
        logits(tuning.model, token_batch), logits(make_llama(), token_batch), atol=1e-5
    )
    rows = tuning.state()[f"base_model.model.{WIDER}.lora_A.default.weight"]
    assert torch.equal(rows, kaiming_rows(3, 32, seed=4, name=WIDER, num_resizes=0))


def test_magnitudes_count_as_live_and_all_that_is_trained_is_named(make_llama: MakeLlama) -> None:
    """Rank 1 on all is 992; 80 of up_proj less, two ranks of q_proj's 64 more: 1040.

    Outputs of the 13 modules: 8 * 32 of attention, 3 * 48 and 2 * 32 of the MLPs: 464.
    """
    tuning = tuning_of(make_llama)
    assert tuning.live_params() == 1040 + 464
    trained = {name for name, p in tuning.model.named_parameters() if p.requires_grad}
    assert trained == set(tuning.modules_of_parameters())
    assert tuning.ranks()[LEFT_OUT] == 0
    assert len(tuning.ranks()) == 14


def test_it_tells_which_modules_are_left_out(make_llama: MakeLlama) -> None:
    done = tuning_of(make_llama).prepare(lambda _: ())
    assert done is not None
    assert (done.cost_items, done.text) == (
        0,
        f"DoRA keeps A, B and magnitudes within the budget on 13 modules, 1 left out ({LEFT_OUT})",
    )


def test_state_comes_back_bitwise(make_llama: MakeLlama, token_batch: dict[str, Tensor]) -> None:
    first, second = tuning_of(make_llama), tuning_of(make_llama, seed=1)
    train(first, token_batch)
    saved = {name: tensor.detach().clone() for name, tensor in first.state().items()}
    second.load(first.ranks(), saved)
    train(first, token_batch)
    train(second, token_batch)
    assert first.state().keys() == second.state().keys()
    assert all(torch.equal(second.state()[n], tensor) for n, tensor in first.state().items())


def test_an_export_is_pefts_dora_adapter_and_computes_the_same(
    make_llama: MakeLlama, token_batch: dict[str, Tensor], tmp_path: Path
) -> None:
    tuning = tuning_of(make_llama)
    train(tuning, token_batch)
    tuning.export(tmp_path, base_model_name="tiny")
    assert json.loads((tmp_path / "adapter_config.json").read_text())["use_dora"] is True
    loaded = PeftModel.from_pretrained(make_llama(), str(tmp_path))
    expected = logits(tuning.model, token_batch)
    assert not torch.allclose(expected, logits(make_llama(), token_batch), atol=1e-2)
    assert float((logits(loaded, token_batch) - expected).abs().max()) <= 1e-5


def test_a_module_left_out_keeps_its_plain_weight(make_llama: MakeLlama) -> None:
    layer = tuning_of(make_llama).model.get_submodule(f"base_model.model.{LEFT_OUT}")
    assert type(layer) is torch.nn.Linear
