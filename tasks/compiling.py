"""torch.compile for the layers of the language model, where most of a step's time goes.

Layer by layer rather than the whole model: a rank event then compiles anew only what it moved, and
scoring and generation, whose shapes change from call to call, stay as they are. Ranks and lengths
are symbols of the graph where torch can hold them so (``dynamic=True``).
"""

from collections.abc import Callable

import torch
from torch import nn

from rankscope.models.inventory import Inventory, layer_path

BACKEND = "inductor"
_MOST_GRAPHS = 256
"""Of one layer, over all ranks that it comes to have; torch gives up compiling after 8."""


def compile_layers(model: nn.Module, inventory: Inventory) -> None:
    """Compile the layers of the language model that are trained, for training steps alone.

    Args:
        model: The base model, its adapters on.
        inventory: The modules that are trained.
    """
    torch._dynamo.config.recompile_limit = _MOST_GRAPHS
    torch._dynamo.config.accumulated_recompile_limit = 10 * _MOST_GRAPHS * len(inventory.modules)
    torch._dynamo.config.force_parameter_static_shapes = False
    paths = {layer_path(module.name) for module in inventory.modules if module.part == "language"}
    for path in sorted(filter(None, paths)):
        layer = model.get_submodule(path)
        layer.forward = _in_steps(layer)


def _in_steps(layer: nn.Module) -> Callable[..., object]:
    plain: Callable[..., object] = layer.forward
    compiled = torch.compile(plain, backend=BACKEND, dynamic=True)

    def forward(*args: object, **kwargs: object) -> object:
        is_step = layer.training and torch.is_grad_enabled()
        return (compiled if is_step else plain)(*args, **kwargs)

    return forward
