"""How module names are written into a LoraConfig so that peft matches each exactly once."""

import re
from collections.abc import Collection, Iterable, Mapping


def exact_targets(names: Collection[str], all_names: Iterable[str]) -> list[str] | str:
    """``target_modules`` that adapts the named modules and no other.

    A list of full names is what other tools read best, but peft also takes a listed name as a
    suffix. Where one would catch a second module (``mlp.up`` also matches ``vision.mlp.up``), an
    expression is written instead, which peft matches against the whole path.

    Args:
        names: Full paths of the modules to adapt.
        all_names: Full paths of every module of the base model.
    """
    wanted = frozenset(names)
    suffixes = tuple(f".{name}" for name in sorted(wanted))
    if any(name.endswith(suffixes) for name in all_names if name not in wanted):
        return "|".join(re.escape(name) for name in sorted(wanted))
    return sorted(wanted)


def rank_pattern(ranks: Mapping[str, int]) -> dict[str, int]:
    """``rank_pattern`` of the given ranks."""
    return {_anchored(name): rank for name, rank in ranks.items()}


def alpha_pattern(ranks: Mapping[str, int], scales: Mapping[str, float]) -> dict[str, float]:
    """``alpha_pattern`` that makes peft's alpha / rank each module's scale (ALGORITHMS 3.4)."""
    return {_anchored(name): scales[name] * rank for name, rank in ranks.items()}


def _anchored(name: str) -> str:
    """A pattern key that matches this full path alone (ALGORITHMS 2.1)."""
    return "^" + re.escape(name)
