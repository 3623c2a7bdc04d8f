"""What every way of writing dialogues hands on: rows of tokens, and tensors of pictures."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from torch import Tensor

from rankscope.models.data.dialogue import Example, Unfit

"""Label of tokens that do not count towards the loss (PyTorch's ``ignore_index``)."""


@dataclass(frozen=True)
class Row:
    """One dialogue in tokens, not padded.

    Args:
        ids: Tokens, those of pictures spread out.
        labels: Token by token, ``NOT_SCORED`` for all that the assistant does not say.
        kinds: Further values per token that the model asks for, by their names; padded with 0.
        num_bound: Tokens up to the last one of a picture, which cannot be cut off.
    """

    ids: list[int]
    labels: list[int]
    kinds: dict[str, list[int]]
    num_bound: int

    def cut(self, length: int) -> Self:
        """Its first tokens."""
        kinds = {name: values[:length] for name, values in self.kinds.items()}
        return type(self)(self.ids[:length], self.labels[:length], kinds, self.num_bound)


class Writer(Protocol):
    """Turns examples into rows, as one family of models takes them."""

    end_ids: frozenset[int]
    """Tokens that end an answer."""

    def rows(
        self, examples: Sequence[Example], *, answered: bool
    ) -> tuple[list[Row], dict[str, Tensor]]:
        """Rows with or without the last answers, and what the model takes of all pictures.

        Raises:
            Unfit: If the model cannot take an example.
        """
        ...


def place_of(example: Example) -> str:
    """File and row of an example, for messages."""
    return f"{example.file} row {example.row}" if example.file else f"row {example.row}"


@contextmanager
def naming(example: Example) -> Iterator[None]:
    """Whatever an example is unfit for is told with its file and row."""
    try:
        yield
    except Unfit as error:
        if error.where:
            raise
        raise Unfit(error.rule, error.value, error.remedy, where=place_of(example)) from error
