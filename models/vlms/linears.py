"""The linear modules of models that are known without loading them; free of torch."""

import json
from functools import cache
from pathlib import Path

from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.inventory import Linears
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm, SmolVlm
from rankscope.models.vlms.mobilevlm.listing import mobilevlm_linears
from rankscope.models.vlms.smol.sizes import smol_linears


def known_linears(settings: AnyVlm) -> Linears | None:
    """The list of a model whose sizes are known here; None if its files have to tell."""
    match settings:
        case EmbeddedVlm():
            return embedded_linears()
        case MobileVlm():
            return mobilevlm_linears(settings.size)
        case SmolVlm():
            return smol_linears()
        case HubVlm():
            return None


@cache
def embedded_linears() -> Linears:
    """The list shipped beside the embedded weights, written by the script that trained them."""
    folder = Path(__file__).parent / "embedded" / "weights"
    linears = Linears.model_validate_json((folder / "linears.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text, vision = config["text_config"], config["vision_config"]
    side_px = vision["image_size"]
    sizes = ModelSizes(
        vocabulary=text["vocab_size"],
        num_heads=text["num_attention_heads"],
        context_tokens=text["max_position_embeddings"],
        picture=PictureSizes(
            patches=(side_px // vision["patch_size"]) ** 2,
            tokens=config["visual_tokens_per_side"] ** 2,
            of=f"a picture of {side_px} x {side_px} px",
        ),
    )
    return linears.model_copy(update={"sizes": sizes})
