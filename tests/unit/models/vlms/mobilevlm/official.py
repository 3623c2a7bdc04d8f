"""Checkpoints in the official layout, names written out by hand."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig

from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration

LDP = {
    "linear_1": "model.mlp.1",
    "linear_2": "model.mlp.3",
    "block_1.depthwise": "model.mb_block.1.block.0.0",
    "block_1.depthwise_norm": "model.mb_block.1.block.0.1",
    "block_1.gate.squeeze": "model.mb_block.1.block.1.fc1",
    "block_1.gate.excite": "model.mb_block.1.block.1.fc2",
    "block_1.pointwise": "model.mb_block.1.block.2.0",
    "block_1.pointwise_norm": "model.mb_block.1.block.2.1",
    "block_2.depthwise": "model.mb_block.2.block.0.0",
    "block_2.depthwise_norm": "model.mb_block.2.block.0.1",
    "block_2.gate.squeeze": "model.mb_block.2.block.1.fc1",
    "block_2.gate.excite": "model.mb_block.2.block.1.fc2",
    "block_2.pointwise": "model.mb_block.2.block.2.0",
    "block_2.pointwise_norm": "model.mb_block.2.block.2.1",
}
LDP_V2 = {"linear_1": "mlp.mlp.0", "linear_2": "mlp.mlp.2", "peg": "peg.peg.0"}


def official_tensors(model: MobileVlmForConditionalGeneration) -> dict[str, Tensor]:
    """A model's weights under their official names, with what else official files hold."""
    projector = LDP if model.config.projector == "ldpnet" else LDP_V2
    tensors = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(8),
        "model.vision_tower.vision_tower.vision_model.embeddings.position_ids": torch.zeros(1, 17),
        # CLIP's last layer, above the one that is used.
        "model.vision_tower.vision_tower.vision_model.encoder.layers.1.mlp.fc1.bias": torch.zeros(
            48
        ),
    }
    for name, tensor in model.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "projector":
            module, _, kind = rest.rpartition(".")
            tensors[f"model.mm_projector.{projector[module]}.{kind}"] = tensor
        elif part == "vision_tower":
            tensors[f"model.vision_tower.vision_tower.vision_model.{rest}"] = tensor
        else:
            tensors[rest] = tensor
    return tensors


def write_official(
    folder: Path, model: MobileVlmForConditionalGeneration, tensors: dict[str, Tensor]
) -> None:
    """One safetensors file and ``config.json``."""
    write_config(folder, model)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / NAME)


NAME = "model.safetensors"


def write_config(folder: Path, model: MobileVlmForConditionalGeneration, **changed: Any) -> None:
    text = model.config.text_config
    config = {
        "architectures": ["MobileLlamaForCausalLM"],
        "model_type": "mobilevlm",
        "mm_hidden_size": 32,
        "mm_projector_type": model.config.projector,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "vocab_size": text.vocab_size,
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "pad_token_id": 0,
        "torch_dtype": "float16",
        **changed,
    }
    (folder / "config.json").write_text(json.dumps(config))


def write_vision_config(folder: Path, vision: CLIPVisionConfig) -> Path:
    """As CLIP's own, with its text part beside it; returns the folder."""
    folder.mkdir()
    config = {"model_type": "clip", "text_config": {}, "vision_config": vision.to_dict()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_llama_and_clip(
    folder: Path, model: MobileVlmForConditionalGeneration
) -> tuple[Path, Path]:
    """MobileLLaMA's folder and CLIP's, as both are published."""
    llama, clip = folder / "llama", folder / "clip"
    llama.mkdir()
    nothing_more = dict.fromkeys(("mm_projector_type", "mm_vision_tower"))
    write_config(llama, model, model_type="llama", **nothing_more)
    write_vision_config(clip, model.config.vision_config)
    tensors = official_tensors(model)
    is_of_llama = {key: "vision_tower" not in key and "projector" not in key for key in tensors}
    tower = "model.vision_tower.vision_tower."
    save_tensors(llama, {key: t for key, t in tensors.items() if is_of_llama[key]})
    save_tensors(
        clip, {k.removeprefix(tower): t for k, t in tensors.items() if k.startswith(tower)}
    )
    return llama, clip


def save_tensors(folder: Path, tensors: dict[str, Tensor], name: str = NAME) -> None:
    folder.mkdir(exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
