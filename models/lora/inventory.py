"""List the linear modules of a model that an adapter can sit on."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from rankscope.models.inventory import PARTS, AdaptableModule, Inventory, Linears, Part, place_of


def find_modules(model: nn.Module, targets: str, parts: frozenset[Part]) -> Inventory:
    """The linears of a base model that a run adapts; see `Linears.select` for the rules.

    Raises:
        ValueError: If ``targets`` is no regular expression or matches nothing in ``parts``.
    """
    return list_linears(model).select(targets, parts)


def list_linears(model: nn.Module) -> Linears:
    """Every linear of a base model outside heads and embeddings, in model order.

    Only shapes are read, so the meta device will do.
    """
    params_by_part: dict[Part, int] = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        part, _ = place_of(name)
        params_by_part[part] += parameter.numel()
    return Linears(modules=tuple(_adaptable(model)), params_by_part=params_by_part)


def _adaptable(model: nn.Module) -> Iterator[AdaptableModule]:
    for name, module in model.named_modules():
        # nn.MultiheadAttention reads its out_proj's weight without calling the module: an adapter
        # there would be trained by nothing.
        if not isinstance(module, nn.Linear) or isinstance(module, NonDynamicallyQuantizableLinear):
            continue
        components = name.split(".")
        if any(part == "lm_head" or "embed" in part for part in components):
            continue
        part, layer = place_of(name)
        yield AdaptableModule(
            name=name,
            part=part,
            layer=layer or 0,
            type=components[-1],
            d_in=module.in_features,
            d_out=module.out_features,
        )
