"""Where a linear module sits in a transformer layer, by its name; what a layer is made of."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

from rankscope.models.inventory import AdaptableModule, Part

Site = Literal["attention_in", "attention_out", "gate", "mlp_in", "mlp_out", "other"]

_SITES: dict[str, Site] = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "qkv", "q", "k", "v"), "attention_in"),
    **dict.fromkeys(("o_proj", "out_proj", "proj", "projection_layer"), "attention_out"),
    "gate_proj": "gate",
    **dict.fromkeys(("up_proj", "fc1", "linear_fc1"), "mlp_in"),
    **dict.fromkeys(("down_proj", "fc2", "linear_fc2"), "mlp_out"),
}
"""Names that transformers' vision and language models give their linears."""


def site_of(module: AdaptableModule) -> Site:
    """What a module does within its layer."""
    return _SITES.get(module.type, "other")


def layers_of(modules: Iterable[AdaptableModule], part: Part) -> Iterator[list[AdaptableModule]]:
    """The linears of each layer of a part, from the input on."""
    own = sorted((m for m in modules if m.part == part), key=lambda m: m.layer)
    for _, layer in groupby(own, key=lambda m: m.layer):
        yield list(layer)


def width_of(layer: Iterable[AdaptableModule]) -> int:
    """Width of the stream between layers; 0 for what is no transformer layer."""
    return next((m.d_in for m in layer if site_of(m) == "attention_in"), 0)


def query_width_of(layer: Iterable[AdaptableModule]) -> int:
    """Heads times their width; 0 without attention."""
    return next((m.d_in for m in layer if site_of(m) == "attention_out"), 0)
