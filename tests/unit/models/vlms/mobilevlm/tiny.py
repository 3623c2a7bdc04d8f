"""A MobileVLM of a few thousand parameters, and a tokenizer whose ids can be worked out by hand."""

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedTokenizerFast

from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind

IMAGE_ID = -200
NUM_VISUAL_TOKENS = 4
WORDS = (
    *("<unk>", "<s>", "</s>", "▁", "▁USER:", "▁ASSISTANT:", "▁\nwhat", "▁color", "▁red", "▁is"),
    *("▁where", "▁top", "▁left", "▁\nis", "▁red\n", "▁Be", "▁brief.", "▁what", "▁\n"),
)
"""The index is the id. A word begins with the space before it; newlines are part of words."""
NUM_SYSTEM_WORDS = 23
"""Words of MobileVLM's system prompt; the tokenizer knows none of them."""


def tiny_config(
    projector: ProjectorKind = "ldpnetv2", context_tokens: int = 2048
) -> MobileVlmConfig:
    """4 x 4 patches, 2 x 2 visual tokens."""
    return MobileVlmConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
        ),
        text_config=LlamaConfig(
            vocab_size=512,
            hidden_size=64,
            intermediate_size=176,
            num_hidden_layers=4,
            num_attention_heads=4,
            pad_token_id=0,
            max_position_embeddings=context_tokens,
        ),
        projector=projector,
        visual_tokens_per_side=2,
    )


def tiny_model(projector: ProjectorKind = "ldpnetv2") -> MobileVlmForConditionalGeneration:
    torch.manual_seed(0)
    model = MobileVlmForConditionalGeneration(tiny_config(projector))
    model.train(mode=False)
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>",  # noqa: S106 - no password
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
    )


def tiny_batch() -> dict[str, Tensor]:
    """Two rows with a picture each, the second one shorter and padded on the right.

    Ids from 10 on; the last two of each row are scored.
    """
    picture = [IMAGE_ID] * NUM_VISUAL_TOKENS
    rows = [[1, 10, *picture, 11, 12, 13], [1, *picture, 14, 15, 0, 0]]
    ids = torch.tensor(rows)
    labels = torch.full_like(ids, -100)
    labels[0, -2:] = ids[0, -2:]
    labels[1, 5:7] = ids[1, 5:7]
    mask = torch.ones_like(ids)
    mask[1, -2:] = 0
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "pixel_values": pixels(2),
    }


def assert_same(
    one: MobileVlmForConditionalGeneration, other: MobileVlmForConditionalGeneration
) -> None:
    """Equal weights to the bit, and equal logits but for the last place.

    Loaded tensors may begin at another alignment, where PyTorch's convolutions round differently.
    """
    weights, others = one.state_dict(), other.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    with torch.no_grad():
        found, expected = one(**tiny_batch()).logits, other(**tiny_batch()).logits
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def pixels(num_pictures: int) -> Tensor:
    return torch.randn(num_pictures, 3, 56, 56, generator=torch.Generator().manual_seed(1))


def picture(width: int = 8, height: int = 8, color: str = "red") -> Image.Image:
    return Image.new("RGB", (width, height), color)
