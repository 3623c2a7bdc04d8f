"""Rows of the models that are spoken to through a chat template."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature

from rankscope.models.data.dialogue import Example, Unfit
from rankscope.models.vlms.hub.chats import ChatTemplate, Span, Written
from rankscope.models.vlms.hub.picture_processor import PictureProcessor
from rankscope.models.vlms.hub.rows import Row, naming, place_of
from rankscope.models.vlms.labels import NOT_SCORED

_KINDS = ("mm_token_type_ids", "token_type_ids")
"""What models ask for token by token, besides the tokens."""
_NO_INPUTS = frozenset(
    {"input_ids", "attention_mask", "offset_mapping", "text_replacement_offsets", *_KINDS}
)


class ChatWriter:
    """Writes dialogues by a model's chat template and its own processor.

    Args:
        processor: Of the model.
        end_ids: Tokens that end an answer, besides the template's own.
    """

    def __init__(self, processor: PictureProcessor, end_ids: Iterable[int]) -> None:
        self.template = ChatTemplate(processor)
        self._processor = processor
        self._tokenizer = processor.tokenizer
        end_id = self._tokenizer.convert_tokens_to_ids(self.template.end_token)
        self.end_ids = frozenset(end_ids) | {end_id, self._tokenizer.eos_token_id}
        self._visual_ids = frozenset(processor.image_token_ids)

    def rows(
        self, examples: Sequence[Example], *, answered: bool
    ) -> tuple[list[Row], dict[str, Tensor]]:
        """See `Writer`."""
        written = []
        for example in examples:
            with naming(example):
                written.append(self.template.written(example.turns, answered=answered))
        encoded = self._encoded(written, examples)
        num_rows = len(written)
        replaced = encoded.get("text_replacement_offsets") or [[]] * num_rows
        rows = []
        for number in range(num_rows):
            ids: list[int] = encoded["input_ids"][number]
            scored = _shifted(written[number].scored, replaced[number])
            labels = _labels(ids, encoded["offset_mapping"][number], scored)
            kinds = {name: list(encoded[name][number]) for name in _KINDS if name in encoded}
            rows.append(Row(ids, labels, kinds, self._num_bound(ids)))
        pictures = {name: value for name, value in encoded.items() if name not in _NO_INPUTS}
        return rows, {name: torch.as_tensor(value) for name, value in pictures.items()}

    def _encoded(self, written: Sequence[Written], examples: Sequence[Example]) -> BatchFeature:
        """What the model's processor makes of texts and pictures: lists per row, tensors of all."""
        texts = [one.text for one in written]
        pictures = [[picture.open() for picture in example.pictures] for example in examples]
        begin: str | None = self._tokenizer.bos_token
        has_begin = begin is not None and texts[0].startswith(begin)
        try:
            encoded: BatchFeature = self._processor(
                text=texts,
                images=pictures if any(pictures) else None,
                text_kwargs={
                    "add_special_tokens": not has_begin,
                    "padding": False,
                    "truncation": False,
                    "return_offsets_mapping": True,
                },
                images_kwargs={"return_tensors": "pt"},
                return_text_replacement_offsets=True,
            )
        except ValueError as error:
            raise Unfit(
                "the model's own processor must take every picture",
                str(error),
                "leave out what it does not take",
                where=", ".join(place_of(example) for example in examples),
            ) from error
        return encoded

    def _num_bound(self, ids: Sequence[int]) -> int:
        places = [place for place, token_id in enumerate(ids) if token_id in self._visual_ids]
        return places[-1] + 1 if places else 0


def _shifted(spans: Sequence[Span], replaced: Sequence[dict[str, Any]]) -> list[Span]:
    """Spans in the text in which every image token has become many."""

    def moved(place: int) -> int:
        gains = [one["new_span"][1] - one["span"][1] for one in replaced if one["span"][1] <= place]
        return place + (gains[-1] if gains else 0)

    return [Span(moved(start), moved(stop)) for start, stop in spans]


def _labels(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], scored: Sequence[Span]
) -> list[int]:
    """A token is scored if it begins where an answer or its end is.

    One that begins in the prompt is never generated: ``generate`` goes on after whole tokens.
    """
    return [
        token_id
        if first < stop and any(span.start <= first < span.stop for span in scored)
        else NOT_SCORED
        for token_id, (first, stop) in zip(ids, offsets, strict=True)
    ]
