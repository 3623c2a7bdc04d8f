"""What a data set holds, as one number: equal contents give equal hashes wherever they lie."""

import hashlib
import json
from collections.abc import Callable, Sequence

from rankscope.models.data.dialogue import Example
from rankscope.models.data.files.contract import BrokenRow
from rankscope.models.data.files.reading import DialogueSet

Progress = Callable[[int], None]
"""Is told after every row how many there were."""


class ContentHash:
    """SHA-256 over examples in order: keys, turns and pictures' bytes, but no paths.

    An example is one line of JSON without blanks:
    ``[key,[[role,text],...],[SHA-256 of each picture]]``.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, example: Example, digests: Sequence[bytes]) -> None:
        """One more example, with its pictures' SHA-256."""
        turns = [[turn.role, turn.text] for turn in example.turns]
        line = [example.key, turns, [digest.hex() for digest in digests]]
        self._sha256.update(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def hexdigest(self) -> str:
        """Of what was added so far."""
        return self._sha256.hexdigest()


def content_hash(dataset: DialogueSet, progress: Progress = lambda _: None) -> str:
    """The hash of all rows that can be used; every picture's bytes are read once.

    Raises:
        Unfit: If a whole file or a picture cannot be read.
    """
    content = ContentHash()
    for num_rows, example in enumerate(dataset.examples(), 1):
        if not isinstance(example, BrokenRow):
            content.add(example, digests_of(example))
        progress(num_rows)
    return content.hexdigest()


def digests_of(example: Example) -> tuple[bytes, ...]:
    """SHA-256 of each picture's bytes.

    Raises:
        Unfit: If a picture's file cannot be read.
    """
    return tuple(picture.digest() for picture in example.pictures)
