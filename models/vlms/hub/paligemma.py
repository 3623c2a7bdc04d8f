"""PaliGemma: a picture and a request, then an answer; no chat.

The request is read in both directions, so the model must be told token by token what is request
and what is answer (``token_type_ids``); its own processor does, given the answer as ``suffix``.
Source: Beyer et al. 2024, arXiv 2407.07726, figure 2.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Turn, Unfit
from rankscope.models.vlms.hub.picture_processor import PictureProcessor
from rankscope.models.vlms.hub.rows import Row, naming
from rankscope.models.vlms.labels import NOT_SCORED

ROLES = ("user", "assistant")


class PrefixWriter:
    """Writes one request and its answer as PaliGemma was trained on them.

    Args:
        processor: PaliGemma's.
        end_ids: Tokens that end an answer, besides the tokenizer's own.
    """

    def __init__(self, processor: PictureProcessor, end_ids: Iterable[int]) -> None:
        self._processor = processor
        self._image_id: int = processor.image_token_id
        self.end_ids = frozenset(end_ids) | {processor.tokenizer.eos_token_id}
        added = processor.tokenizer.added_tokens_decoder.values()
        self._special = [token.content for token in added if token.special]

    def rows(
        self, examples: Sequence[Example], *, answered: bool
    ) -> tuple[list[Row], dict[str, Tensor]]:
        """See `Writer`."""
        rows, pixels = [], []
        for example in examples:
            with naming(example):
                row, pixels_PCHW = self._row(example, answered=answered)
            rows.append(row)
            pixels.append(pixels_PCHW)
        return rows, {"pixel_values": torch.cat(pixels)}

    def _row(self, example: Example, *, answered: bool) -> tuple[Row, Tensor]:
        request, answer = self._request_and_answer(example)
        encoded = self._processor(
            text=[self._processor.image_token * len(example.pictures) + request],
            images=[[picture.open() for picture in example.pictures]],
            suffix=[answer] if answered else None,
            text_kwargs={"padding": False, "truncation": False},
            images_kwargs={"return_tensors": "pt"},
        )
        ids: list[int] = list(encoded["input_ids"][0])
        types: list[int] = list(encoded["token_type_ids"][0])
        labels = [
            token_id if is_answer else NOT_SCORED
            for token_id, is_answer in zip(ids, types, strict=True)
        ]
        num_bound = len(ids) - ids[::-1].index(self._image_id)
        return Row(ids, labels, {"token_type_ids": types}, num_bound), encoded["pixel_values"]

    def _request_and_answer(self, example: Example) -> tuple[str, str]:
        turns = example.turns
        if tuple(turn.role for turn in turns) != ROLES:
            raise Unfit(
                "PaliGemma takes one request and its answer and nothing else",
                ", ".join(turn.role for turn in turns),
                "split dialogues into questions, leave out system turns, or use another model",
            )
        if not example.pictures:
            raise Unfit(
                "PaliGemma answers about pictures only",
                "a request without a picture",
                "leave it out or use another model",
            )
        request, answer = (self._words(turn) for turn in turns)
        return request, answer

    def _words(self, turn: Turn) -> str:
        """Text without the places of pictures, which come before all words."""
        words = " ".join(part.strip() for part in turn.text.split(IMAGE_MARKER)).strip()
        for token in self._special:
            if token in words:
                raise Unfit(
                    "a text must not hold the tokens that the model's prompt is made of",
                    f"{token!r} in a turn of the {turn.role}",
                    "write it otherwise or take the row out",
                )
        return words
