"""Somebody's peft model, whose adapters then move like our own."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, LoraModel, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from rankscope.models.lora.adopting import adopt, release

VOCABULARY = 32


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM(config)


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    return GPT2LMHeadModel(config)


def stirred(base: nn.Module, **settings: object) -> PeftModel:
    """Adapters whose B is not zero, so that each has an effect."""
    targets = {"target_modules": ["q_proj", "v_proj", "up_proj"], "task_type": "CAUSAL_LM"}
    config = LoraConfig(**cast("dict[str, Any]", targets | settings))
    model = cast("PeftModel", get_peft_model(cast("LlamaForCausalLM", base), config))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.3, generator=generator)
    return model


def logits(model: nn.Module) -> Tensor:
    model.eval()
    with torch.no_grad():
        answer: Tensor = model(input_ids=torch.arange(12)[None]).logits
    return answer


def reloaded_logits(model: PeftModel, base: nn.Module, folder: Path) -> Tensor:
    model.save_pretrained(str(folder))
    return logits(PeftModel.from_pretrained(cast("LlamaForCausalLM", base), str(folder)))


def test_ranks_scales_and_function_stay_as_they_are() -> None:
    model = stirred(llama(), r=4, lora_alpha=8, rank_pattern={"up_proj": 2})
    before = logits(model)
    elastic = adopt(model, seed=0)
    assert set(elastic.ranks().values()) == {4, 2}
    assert elastic.ranks()["model.layers.1.mlp.up_proj"] == 2
    assert elastic.layers.scale_of("model.layers.1.mlp.up_proj") == 4.0
    assert elastic.layers.scale_of("model.layers.0.self_attn.q_proj") == 2.0
    assert elastic.live_params() == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert torch.equal(logits(model), before)
    places = {(m.part, m.layer, m.type) for m in elastic.inventory.modules}
    assert ("language", 1, "up_proj") in places


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"lora_dropout": 0.1}])
def test_moved_ranks_keep_each_scale_and_are_saved_by_peft_itself(
    settings: dict[str, object], tmp_path: Path
) -> None:
    model = stirred(llama(), r=4, lora_alpha=8, rank_pattern={"up_proj": 2}, **settings)
    before = logits(model)
    elastic = adopt(model, seed=0)
    grown = {name: rank + 1 for name, rank in elastic.ranks().items()}
    elastic.resize(grown, None, budget=10**6)
    torch.testing.assert_close(logits(model), before)
    torch.testing.assert_close(reloaded_logits(model, llama(), tmp_path), before)


def test_a_module_at_rank_0_is_left_out_of_what_peft_saves(tmp_path: Path) -> None:
    model = stirred(llama(), r=4, lora_alpha=8)
    elastic = adopt(model, seed=0)
    empty = "model.layers.0.self_attn.q_proj"
    elastic.resize({empty: 0}, None, budget=10**6)
    expected = logits(model)
    assert release(elastic) == (empty,)
    torch.testing.assert_close(logits(model), expected)
    torch.testing.assert_close(reloaded_logits(model, llama(), tmp_path), expected)


def test_a_checkpoint_with_a_module_at_rank_0_loads_too(tmp_path: Path) -> None:
    model = stirred(llama(), r=4, lora_alpha=8)
    elastic = adopt(model, seed=0)
    elastic.resize({"model.layers.0.self_attn.q_proj": 0}, None, budget=10**6)
    with pytest.warns(UserWarning, match="invalid shape"):  # peft's guess at sharding is wrong
        again = reloaded_logits(model, llama(), tmp_path)
    torch.testing.assert_close(again, logits(model))


def test_linears_of_gpt2_are_adopted_too(tmp_path: Path) -> None:
    model = stirred(gpt2(), r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    elastic = adopt(model, seed=0)
    elastic.resize({"transformer.h.1.mlp.c_fc": 5}, None, budget=10**6)
    expected = logits(model)
    torch.testing.assert_close(reloaded_logits(model, gpt2(), tmp_path), expected)
    module = next(m for m in elastic.inventory.modules if m.name == "transformer.h.1.mlp.c_fc")
    assert (module.layer, module.d_in, module.d_out) == (1, 16, 64)


def test_another_adapter_of_the_model_is_left_alone() -> None:
    model = stirred(llama(), r=4)
    model.add_adapter("second", LoraConfig(r=3, target_modules=["q_proj"]))
    model.set_adapter("second")
    elastic = adopt(model, seed=0)
    elastic.resize({"model.layers.0.self_attn.q_proj": 1}, None, budget=10**6)
    assert set(elastic.ranks().values()) == {1, 3}
    layer = elastic.layers.by_name["model.layers.0.self_attn.q_proj"]
    assert layer.r == {"default": 4, "second": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "must be plain LoRA"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "embed_tokens holds an Embedding"),
        ({"lora_bias": True}, "leave lora_bias off"),
        ({"inference_mode": True}, "load it with is_trainable=True"),
    ],
)
@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed")
def test_what_cannot_move_is_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adopt(stirred(llama(), r=2, **settings), seed=0)


def test_a_model_without_peft_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a peft model with LoRA, got LlamaForCausalLM"):
        adopt(llama(), seed=0)


def test_more_than_one_active_adapter_is_refused() -> None:
    model = stirred(llama(), r=4)
    model.add_adapter("second", LoraConfig(r=3, target_modules=["q_proj"]))
    cast("LoraModel", model.base_model).set_adapter(["default", "second"])
    with pytest.raises(ValueError, match=r"exactly one adapter must be active, got \['default'"):
        adopt(model, seed=0)
