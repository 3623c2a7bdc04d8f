"""The linear modules of models known without loading them; free of torch."""

from functools import cache
from pathlib import Path

from rankscope.models.inventory import Linears
from rankscope.models.vlms import AnyVlm


@cache
def shipped_linears(settings: AnyVlm) -> Linears:
    """The list shipped beside a model's weights, written by the script that trained them."""
    folders = {"embedded": "embedded/weights"}
    path = Path(__file__).parent / folders[settings.kind] / "linears.json"
    return Linears.model_validate_json(path.read_text(encoding="utf-8"))
