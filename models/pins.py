"""Pinned ranks: by pattern on a module's path, held whatever the scheduler says."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from rankscope.models.inventory import AdaptableModule


def _patterns_compile(pins: dict[str, int]) -> dict[str, int]:
    for pattern in pins:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"lora.pins must be regular expressions, got {pattern!r} ({error}); mend it"
            ) from error
    return pins


Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
Rank = Annotated[int, Field(ge=0, le=4096)]
Pins = Annotated[dict[Pattern, Rank], AfterValidator(_patterns_compile)]
"""Regular expression found in a module's full path -> the rank of every module that it matches."""


def check_ranks(pins: Pins, *, min_rank: int, max_rank: int, multiple: int) -> None:
    """Refuse bounds, multiple and pins that contradict each other, whatever the modules are.

    Raises:
        ValueError: Saying rule, value and remedy.
    """
    if min_rank > max_rank:
        raise ValueError(
            f"lora.min_rank must not exceed lora.max_rank={max_rank}, got {min_rank}; lower it"
        )
    if min_rank % multiple:
        raise ValueError(
            f"lora.min_rank must be a multiple of lora.rank_multiple={multiple}, got {min_rank}; "
            "round it"
        )
    if max_rank < multiple:
        raise ValueError(
            f"lora.max_rank must be at least lora.rank_multiple={multiple}, got {max_rank}; "
            "raise it"
        )
    for pattern, rank in pins.items():
        if not min_rank <= rank <= max_rank:
            raise ValueError(
                f"lora.pins must lie within lora.min_rank={min_rank} and lora.max_rank={max_rank}, "
                f"got {rank} for {pattern!r}; change the pin or the bounds"
            )
        if rank % multiple:
            raise ValueError(
                f"lora.pins must be multiples of lora.rank_multiple={multiple}, "
                f"got {rank} for {pattern!r}; round it"
            )


def pinned_ranks(pins: Mapping[str, int], modules: Sequence[AdaptableModule]) -> dict[str, int]:
    """Module name -> pinned rank; modules that no pattern matches are left out.

    Raises:
        ValueError: A pattern matches nothing, or two give one module different ranks.
    """
    pinned: dict[str, int] = {}
    pattern_of: dict[str, str] = {}
    for pattern, rank in pins.items():
        matched = [m.name for m in modules if re.search(pattern, m.name)]
        if not matched:
            raise ValueError(
                f"lora.pins must match at least one of the {len(modules)} adapted modules each, "
                f"{pattern!r} matches none; write for instance {re.escape(modules[0].name)!r}"
            )
        for name in matched:
            if pinned.setdefault(name, rank) != rank:
                raise ValueError(
                    f"lora.pins must not contradict each other, {pattern_of[name]!r} gives {name} "
                    f"rank {pinned[name]} and {pattern!r} rank {rank}; narrow one of them"
                )
            pattern_of.setdefault(name, pattern)
    return pinned
