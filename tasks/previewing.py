"""The process behind previews of data: their rows in a model's own tokens, what is wrong with them.

Started as ``python -P -m rankscope.tasks.previewing REQUEST`` with model and data settings as JSON;
answers with a ``DataPreview`` as JSON on stdout. No weights are read.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice

import numpy as np
from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedTokenizerBase

from rankscope.models.data import AnyDataset
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.dialogue import Example, Unfit
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.files.report import Quantiles, Report, inspect
from rankscope.models.data.thumbnails import thumbnail
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.loading import DRAWN_SIZE_PX, VlmProcessor
from rankscope.models.vlms.processors import load_processor
from rankscope.storage.settings import Settings
from rankscope.tasks.data_preview import (
    DataPreview,
    Histogram,
    Lengths,
    Segment,
    ShownRow,
    ShownTurn,
)

NUM_SHOWN = 6
REPORT_ROWS = 2000
"""Read for the report, every picture of them decoded."""
MAX_COUNTED, COUNT_S = 512, 20.0
"""Rows whose tokens are counted, and the longest that this may take."""
MAX_TOKENS_SHOWN = 4096
"""Of one row."""
_BINS = 24
_REPEATED = 4
"""So many times the same token are told as one: those of a picture."""


class Request(BaseModel):
    """Which data for which model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: AnyVlm
    data: AnyDataset


def preview(request: Request, roots: Roots) -> DataPreview:
    """Look at the first rows as the model takes them.

    Raises:
        ValueError: If the data cannot be read at all.
    """
    processor, problem = None, ""
    try:
        processor = load_processor(request.model, roots)
    except (ValueError, OSError) as error:
        problem = " ".join(str(error).split())
    examples = _examples(request.data, getattr(processor, "image_size_px", DRAWN_SIZE_PX), roots)
    first = list(islice(examples, NUM_SHOWN))
    rows = tuple(_shown(example, processor) for example in first)
    return DataPreview(
        rows=rows,
        lengths=_lengths(chain(first, examples), processor) if processor else None,
        tokens_problem=problem,
        report=_report(request.data, roots),
    )


def segments_of(
    ids: Sequence[int], labels: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> Iterator[Segment]:
    """Tokens in order, joined while they are scored alike; a token's repetitions stand alone."""
    held: list[int] = []
    held_scored = False

    def released() -> Iterator[Segment]:
        if held:
            text = _text(held, tokenizer)
            yield Segment(text=text, num_tokens=len(held), is_scored=held_scored, is_repeated=False)
            held.clear()

    pairs = zip(ids, (label != NOT_SCORED for label in labels), strict=True)
    for (token_id, is_scored), run in groupby(pairs):
        number = len(list(run))
        if number >= _REPEATED or is_scored != held_scored:
            yield from released()
        if number >= _REPEATED:
            text = _text([token_id], tokenizer)
            yield Segment(text=text, num_tokens=number, is_scored=is_scored, is_repeated=True)
        else:
            held += [token_id] * number
        held_scored = is_scored
    yield from released()


def _text(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    text = str(tokenizer.decode(list(ids), skip_special_tokens=False))
    return text or f"token {ids[0]}"  # one that is not in the vocabulary


def _examples(data: AnyDataset, picture_size_px: int, roots: Roots) -> Iterator[Example]:
    """Rows that can be read."""
    if isinstance(data, VqaDataset):
        part = data.sample(picture_size_px, MAX_COUNTED, roots.cache)
        yield from part.examples(range(len(part)))
        return
    for example in open_data(data, roots.data).examples():
        if isinstance(example, Example):
            yield example


def _report(data: AnyDataset, roots: Roots) -> Report | None:
    if isinstance(data, VqaDataset):
        return None
    return inspect(open_data(data, roots.data), REPORT_ROWS)


def _tokens(example: Example, processor: VlmProcessor) -> tuple[list[int], list[int]]:
    batch = processor.training_batch([example])
    return batch["input_ids"][0].tolist(), batch["labels"][0].tolist()


def _shown(example: Example, processor: VlmProcessor | None) -> ShownRow:
    segments: tuple[Segment, ...] = ()
    pictures: tuple[str, ...] = ()
    problem, num_tokens, num_scored = "", 0, 0
    try:
        pictures = tuple(thumbnail(picture) for picture in example.pictures)
        if processor is not None:
            ids, labels = _tokens(example, processor)
            num_tokens, num_scored = len(ids), sum(label != NOT_SCORED for label in labels)
            shown = ids[:MAX_TOKENS_SHOWN], labels[:MAX_TOKENS_SHOWN]
            segments = tuple(segments_of(*shown, processor.tokenizer))
    except ValueError as error:  # the row stands beside it
        text = error.without_place if isinstance(error, Unfit) else str(error)
        problem = " ".join(text.split())
    return ShownRow(
        file=example.file,
        row=example.row,
        key=example.key,
        turns=tuple(ShownTurn(role=turn.role, text=turn.text) for turn in example.turns),
        pictures=pictures,
        segments=segments,
        num_tokens=num_tokens,
        num_scored=num_scored,
        num_hidden=max(0, num_tokens - MAX_TOKENS_SHOWN),
        problem=problem,
    )


def _lengths(examples: Iterator[Example], processor: VlmProcessor) -> Lengths:
    begun_s = time.monotonic()
    tokens: list[int] = []
    scored: list[int] = []
    refusals: list[str] = []
    for example in islice(examples, MAX_COUNTED):
        try:
            ids, labels = _tokens(example, processor)
        except ValueError as error:
            refusals.append(" ".join(str(error).split()))
        else:
            tokens.append(len(ids))
            scored.append(sum(label != NOT_SCORED for label in labels))
        if time.monotonic() - begun_s > COUNT_S:
            break
    limit: int | None = getattr(processor, "max_length_tokens", None)
    return Lengths(
        num_rows=len(tokens) + len(refusals),
        tokens=Quantiles.of(tokens),
        scored=Quantiles.of(scored),
        histogram=histogram_of(tokens),
        limit_tokens=limit,
        num_at_limit=sum(limit is not None and number >= limit for number in tokens),
        num_refused=len(refusals),
        first_refusal=refusals[0] if refusals else "",
    )


def histogram_of(numbers: Sequence[int]) -> Histogram | None:
    """Bins of equal whole width."""
    if not numbers:
        return None
    least, most = min(numbers), max(numbers)
    width = max(1, -(-(most + 1 - least) // _BINS))
    edges = list(range(least, most + 1 + width, width))
    counts, _ = np.histogram(numbers, bins=edges)
    return Histogram(edges=tuple(edges), counts=tuple(int(number) for number in counts))


def main() -> int:
    """Exit status 0 and an answer, or 1 and one line that says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", help="model and data settings as JSON")
    request = Request.model_validate_json(parser.parse_args().request)
    try:
        answer = preview(request, Settings().roots)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 1
    print(answer.model_dump_json())  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
