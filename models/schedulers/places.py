"""Where a module sits: MLP or attention, early or late, and how people call it."""

from collections.abc import Sequence

from rankscope.models.inventory import AdaptableModule

MLP_TYPES = frozenset(
    {"gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "w1", "w2", "w3"}
)
"""Last path components of MLP linears in the LLaMA, Qwen, Phi, CLIP and SigLIP families."""

ATTENTION_TYPES = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "qkv", "proj"}
)
"""Last path components of attention linears in the same families."""


def is_mlp(module: AdaptableModule) -> bool:
    """Whether the module belongs to the MLP of its layer."""
    return module.type in MLP_TYPES


def is_attention(module: AdaptableModule) -> bool:
    """Whether the module belongs to the attention of its layer."""
    return module.type in ATTENTION_TYPES


def language_depth(modules: Sequence[AdaptableModule]) -> int:
    """Layers of the language model, as far as adaptable modules show; 0 if none is adaptable."""
    return max((m.layer + 1 for m in modules if m.part == "language"), default=0)


def is_early(module: AdaptableModule, depth: int) -> bool:
    """Whether the module sits in the first half of the language model's ``depth`` layers.

    A layer in the very middle is early, as in ``DampedEarlyRates`` of the run config.
    """
    return module.part == "language" and module.layer < 0.5 * depth


def is_late(module: AdaptableModule, depth: int) -> bool:
    """Whether the module sits in the other half of the language model's ``depth`` layers."""
    return module.part == "language" and not is_early(module, depth)


def short_name(module: AdaptableModule) -> str:
    """How people call a module: ``L4 down_proj`` in the language model, else ``vision L1 fc1``."""
    part = "" if module.part == "language" else f"{module.part} "
    return f"{part}L{module.layer} {module.type}"
