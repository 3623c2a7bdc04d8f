"""The linear modules of models that are known without loading them; free of torch."""

from functools import cache
from pathlib import Path

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
    path = Path(__file__).parent / "embedded" / "weights" / "linears.json"
    return Linears.model_validate_json(path.read_text(encoding="utf-8"))
