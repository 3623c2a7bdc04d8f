"""Lengths of the rows of a data set as far as its texts are at hand; no picture is opened."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from rankscope.models.cost.lengths import (
    CHARS_PER_TOKEN,
    TEMPLATE_TOKENS,
    Lengths,
    limits,
    measured,
)
from rankscope.models.cost.sizes import ModelSizes
from rankscope.models.data import AnyDataset
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.files.contract import Row
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.files.reading import rows_of
from rankscope.models.data.files.settings import FileData, HubData
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm

_ROWS_READ = 256


def lengths_of(
    data: AnyDataset, model: AnyVlm, sizes: ModelSizes, *, rows: int, roots: Roots
) -> Lengths:
    """Of batches of ``rows``: counted on the first rows where they are at hand, else the limits.

    Data of the hub are not fetched for it. What is wrong with data is said where they are read.
    """
    try:
        texts = list(islice(_texts(data, roots), _ROWS_READ))
    except (ValueError, OSError):
        texts = []
    if not texts:
        return limits(sizes)
    pictures = float(np.mean([number for _, number in texts]))
    what = f"the first {len(texts):,} rows of the data"
    if isinstance(model, EmbeddedVlm):
        counts, how = [len(text.split()) + 1 for text, _ in texts], "its words are its tokens"
    else:
        counts = [round(len(text) / CHARS_PER_TOKEN) + TEMPLATE_TOKENS for text, _ in texts]
        how = f"{CHARS_PER_TOKEN:g} characters a token assumed"
    picture = sizes.picture
    shown = f", {picture.tokens:,} tokens for {picture.of}" if picture else ""
    return measured(sizes, counts, pictures=pictures, rows=rows, what=f"{what}, {how}{shown}")


def _texts(data: AnyDataset, roots: Roots) -> Iterator[tuple[str, int]]:
    """Text of every row, and how many pictures it has."""
    match data:
        case VqaDataset():
            for question, answer in data.texts(_ROWS_READ, roots.cache):
                yield f"{question} {answer}", 1
        case FileData():
            yield from _texts_of_files(data, roots)
        case HubData():
            return


def _texts_of_files(data: FileData, roots: Roots) -> Iterator[tuple[str, int]]:
    found = open_data(data, roots.data)
    for row in _good(row for source in found.sources for row in rows_of(source)):
        try:
            told = found.format.read(row.record, data.columns)
        except ValueError:
            continue  # a broken row; the run refuses it or leaves it out
        yield "\n".join(turn.text for turn in told.turns), len(told.pictures)


def _good(rows: Iterable[object]) -> Iterator[Row]:
    return (row for row in rows if isinstance(row, Row))
