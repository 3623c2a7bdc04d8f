"""What a model's cost depends on besides its linears, by its configuration and its processor."""

import contextlib
from pathlib import Path

from PIL import Image
from transformers import BatchFeature, PreTrainedConfig, PreTrainedModel

from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.vlms.hub.configs import max_context_tokens
from rankscope.models.vlms.hub.families import family_of
from rankscope.models.vlms.hub.processors import build_processor, limit_pictures
from rankscope.models.vlms.hub.settings import HubVlm

_USUAL_PX = (640, 480)
"""Width and height of most pictures of COCO, which LLaVA's data are about."""


def hub_sizes(settings: HubVlm, folder: Path, model: PreTrainedModel) -> ModelSizes:
    """Of a model, on any device, whose small files lie in a folder."""
    config: PreTrainedConfig = model.config
    text = config.get_text_config()
    context = max_context_tokens(config) or settings.max_length
    picture = None
    # A plan does not need the processor; a run says what is wrong with it.
    with contextlib.suppress(ValueError):
        picture = _picture(settings, folder, config)
    return ModelSizes(
        vocabulary=text.vocab_size,
        num_heads=text.num_attention_heads,
        context_tokens=min(settings.max_length, context),
        picture=picture,
        checkpoints_tower=True,
    )


def _picture(settings: HubVlm, folder: Path, config: PreTrainedConfig) -> PictureSizes:
    """A picture of usual size through the model's own processor, counted.

    Raises:
        ValueError: If the processor cannot be built, or takes the picture otherwise.
    """
    family = family_of(config)
    processor = build_processor(folder, config, family)
    if settings.max_picture_pixels is not None:
        limit_pictures(processor, config, family, settings.max_picture_pixels)
    told = processor(
        text=[processor.image_token],
        images=[[Image.new("RGB", _USUAL_PX)]],
        text_kwargs={"add_special_tokens": False},
        images_kwargs={"return_tensors": "pt"},
    )
    ids = told["input_ids"]
    visual = set(processor.image_token_ids)
    width, height = _USUAL_PX
    return PictureSizes(
        patches=_num_patches(told, config),
        tokens=sum(int(token) in visual for token in ids[0]),
        of=f"a picture of {width} x {height} px",
    )


def _num_patches(told: BatchFeature, config: PreTrainedConfig) -> int:
    pixels = told["pixel_values"]
    if pixels.ndim == 2:  # patches already, as Qwen's processors give them
        return int(pixels.shape[0])
    patch_px = config.vision_config.patch_size
    height, width = (patch_px, patch_px) if isinstance(patch_px, int) else patch_px
    num_tiles = pixels.shape[:-3].numel()
    return int(num_tiles * (pixels.shape[-2] // height) * (pixels.shape[-1] // width))
