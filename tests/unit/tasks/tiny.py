"""A vision-language model of a few thousand parameters, and a data set in its few words."""

from functools import cache

import numpy as np
import torch

from rankscope.models.config import RunConfig
from rankscope.models.data.parts import VqaPart
from rankscope.models.inventory import Inventory
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import find_modules
from rankscope.models.reading import parse_config
from rankscope.models.vlms.embedded.modeling import (
    EmbeddedVlmConfig,
    EmbeddedVlmForConditionalGeneration,
)
from rankscope.models.vlms.embedded.processing import EmbeddedProcessor
from rankscope.models.vlms.loading import LoadedVlm

QUESTIONS = ("what color is it", "is it red", "what shape")
ANSWERS = ("red", "dark blue", "square", "yes")
SIZE_PX = 16
EVERY_PROJECTION = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"


def config(**changes: object) -> RunConfig:
    return parse_config({"data": {"kind": "easy_vqa"}, **changes})


@cache
def processor() -> EmbeddedProcessor:
    words = " ".join(QUESTIONS + ANSWERS).split()
    return EmbeddedProcessor.from_words(words, image_size_px=SIZE_PX, num_visual_tokens=1)


def vlm() -> LoadedVlm:
    """Two language layers of width 16 (MLP 24) with random weights, the same at every call."""
    torch.manual_seed(7)
    settings = EmbeddedVlmConfig(
        vision_config={
            "image_size": SIZE_PX,
            "patch_size": 8,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "vision_use_head": False,
        },
        text_config={
            "vocab_size": len(processor().tokenizer),
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "initializer_range": 0.3,
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": 1,
        },
        visual_tokens_per_side=1,
    )
    model = EmbeddedVlmForConditionalGeneration(settings)
    model.requires_grad_(requires_grad=False)
    model.train(mode=False)
    return LoadedVlm(model, processor(), torch.device("cpu"), SIZE_PX)


def part(num_items: int, *, num_pictures: int = 5, seed: int = 0) -> VqaPart:
    """Items about noise pictures; questions of three lengths, answers of one or two words."""
    rng = np.random.default_rng(seed)
    shape = (num_pictures, SIZE_PX, SIZE_PX, 3)
    return VqaPart(
        images_NHWC=rng.integers(0, 256, shape, dtype=np.uint8),
        image_ids_I=np.arange(num_items) % num_pictures,
        questions=tuple(QUESTIONS[i % 3] for i in range(num_items)),
        answers=tuple(ANSWERS[i % 4] for i in range(num_items)),
        skills=tuple(("color", "shape")[i % 2] for i in range(num_items)),
    )


def inventory_of(loaded: LoadedVlm) -> Inventory:
    """14 modules; 4 * 32 + 3 * 40 = 248 parameters per rank and layer, 496 in all."""
    return find_modules(loaded.model, EVERY_PROJECTION, frozenset({"language"}))


def elastic_of(loaded: LoadedVlm, rank: int, *, is_stirred: bool = True) -> ElasticLora:
    """Adapters of one rank everywhere whose B is not zero, so that each has an effect."""
    inventory = inventory_of(loaded)
    ranks = {module.name: rank for module in inventory.modules}
    elastic = ElasticLora(loaded.model, inventory, ranks, scale=2.0, seed=0)
    if is_stirred:
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for name in ranks:
                elastic.parameters_of(name)[1].normal_(std=0.3, generator=generator)
    return elastic


def name_of(layer: int, kind: str) -> str:
    """Full path of one adapted module."""
    block = "mlp" if kind in ("gate_proj", "up_proj", "down_proj") else "self_attn"
    return f"language_model.model.layers.{layer}.{block}.{kind}"
