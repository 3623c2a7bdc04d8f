"""Which part a row belongs to: decided by its own content, so that nothing need be remembered."""

import hashlib
from collections.abc import Sequence

from rankscope.models.data.dialogue import Example
from rankscope.models.data.files.settings import PartName, Split


def part_of(example: Example, digests: Sequence[bytes], split: Split) -> PartName | None:
    """The part of an example; None if its pictures belong to different parts.

    What is kept together is hashed together with the seed: each picture, or the key, or the text
    where there is no picture. So parts stay disjoint and rows stay where they are however many
    rows are added. An example that joins pictures of two parts can be in neither.

    Args:
        example: The row.
        digests: SHA-256 of its pictures.
        split: By what, how much, and the seed.
    """
    parts = {_part(group, split) for group in _groups(example, digests, split)}
    return parts.pop() if len(parts) == 1 else None


def _groups(example: Example, digests: Sequence[bytes], split: Split) -> Sequence[bytes]:
    if split.by == "key":
        return (example.key.encode(),)
    if digests:
        return digests
    return ("\0".join(f"{turn.role}\0{turn.text}" for turn in example.turns).encode(),)


def _part(group: bytes, split: Split) -> PartName:
    """Test comes first, so that it is the same whatever the fractions of the others."""
    digest = hashlib.sha256(split.seed.to_bytes(4, "big") + group).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    bound = 0.0
    fractions: tuple[tuple[PartName, float], ...] = (
        ("test", split.test_fraction),
        ("validation", split.validation_fraction),
        ("probe", split.probe_fraction),
    )
    for name, fraction in fractions:
        bound += fraction
        if place < bound:
            return name
    return "train"
