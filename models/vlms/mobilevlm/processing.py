"""Dialogues and pictures to batches of MobileVLM, and generated tokens back to words.

Shape letters: B rows, L tokens, P pictures of all rows, C H W channels and pixels.
"""

from collections.abc import Sequence
from copy import copy
from itertools import accumulate
from pathlib import Path
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from rankscope.models.data.dialogue import IMAGE_MARKER, Example
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.dialogues import (
    END,
    Piece,
    Template,
    prompt_pieces,
    training_pieces,
)
from rankscope.models.vlms.mobilevlm.pictures import ClipPictures, Framing
from rankscope.models.vlms.mobilevlm.tokenizing import load_tokenizer

MAX_ANSWER_TOKENS = 128
"""To generate for a short answer: MobileVLM's protocol for GQA, TextVQA, POPE and MME."""


class _Row(NamedTuple):
    ids: list[int]
    labels: list[int]


class MobileVlmProcessor:
    """Llama's tokenizer, MobileVLM's prompts and the preparation of pictures.

    Args:
        tokenizer: Of the checkpoint; ``load_tokenizer`` reads it.
        config: Of the model: size of pictures, visual tokens, context.
        template: Which prompt.
        framing: How pictures become squares.
        max_answer_tokens: What a caller of ``generate`` should ask for at most.

    Raises:
        ValueError: If the tokenizer is not of Llama's kind.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        config: MobileVlmConfig,
        *,
        template: Template = "v1",
        framing: Framing = "pad",
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> None:
        self.tokenizer = tokenizer
        self.image_size_px = int(config.vision_config.image_size)
        self.max_answer_tokens = max_answer_tokens
        self.max_length_tokens = int(config.text_config.max_position_embeddings)
        self.template = template
        self._pictures = ClipPictures(self.image_size_px, framing)
        self._image = [config.image_token_id] * config.num_visual_tokens
        self._image_id = config.image_token_id
        self._begin_id, self._end_id, self._pad_id = _special_ids(tokenizer)

    @classmethod
    def from_pretrained(
        cls,
        folder: Path,
        config: MobileVlmConfig,
        *,
        template: Template = "v1",
        framing: Framing = "pad",
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> Self:
        """A processor with the tokenizer of a checkpoint's folder, official or saved here."""
        return cls(
            load_tokenizer(folder),
            config,
            template=template,
            framing=framing,
            max_answer_tokens=max_answer_tokens,
        )

    def framed(self, framing: Framing) -> "MobileVlmProcessor":
        """The same with another way to make pictures square."""
        other = copy(self)
        other._pictures = ClipPictures(self.image_size_px, framing)
        return other

    def save_pretrained(self, folder: Path) -> None:
        """Write the tokenizer; all else is in the model's configuration."""
        self.tokenizer.save_pretrained(folder)

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A right-padded batch whose labels score what the assistant says, and its ends.

        Rows longer than the model's context are cut.

        Args:
            examples: Dialogues of user and assistant.

        Returns:
            ``input_ids``, ``attention_mask``, ``labels`` (B, L) and, if there are any pictures,
            ``pixel_values`` (P, C, H, W).

        Raises:
            ValueError: If the prompt has no place for a turn, a picture cannot be opened, or
                nothing is left to be learned.
        """
        rows = [
            self._cut(self._row(training_pieces(self.template, example.turns)))
            for example in examples
        ]
        if all(label == NOT_SCORED for row in rows for label in row.labels):
            raise ValueError(
                "a batch must hold at least one token of an answer within the context of "
                f"{self.max_length_tokens} tokens, got none; leave these dialogues out"
            )
        return {
            "input_ids": _padded([row.ids for row in rows], self._pad_id, "right"),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], 0, "right"),
            "labels": _padded([row.labels for row in rows], NOT_SCORED, "right"),
            **self._pixels(examples, rows),
        }

    def prompt_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A left-padded batch for ``generate``: all of each example but its last answer.

        Nothing is cut: a prompt whose end is missing asks something else.

        Raises:
            ValueError: As there, or if a prompt leaves no room in the model's context.
        """
        rows = [self._row(prompt_pieces(self.template, example.turns[:-1])) for example in examples]
        length = max(len(row.ids) for row in rows)
        if length >= self.max_length_tokens:
            raise ValueError(
                f"a prompt must be shorter than the model's context of {self.max_length_tokens} "
                f"tokens, got {length}; shorten the question"
            )
        return {
            "input_ids": _padded([row.ids for row in rows], self._pad_id, "left"),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], 0, "left"),
            **self._pixels(examples, rows),
        }

    def decode(self, generated_ids_BL: Tensor) -> list[str]:
        """Words of the generated tokens up to the end token.

        ``generate`` returns prompt and answer: pass the part after the prompt,
        ``output[:, batch["input_ids"].shape[1]:]``.
        """
        answers = []
        for row in generated_ids_BL.tolist():
            said = row[: row.index(self._end_id)] if self._end_id in row else row
            answers.append(str(self.tokenizer.decode(said, skip_special_tokens=True)).strip())
        return answers

    def _row(self, pieces: Sequence[Piece]) -> _Row:
        """Ids and labels of a text; what lies between pictures is tokenised by itself."""
        text = "".join(piece.text for piece in pieces)
        scored = _scored_spans(pieces)
        row = _Row([self._begin_id], [NOT_SCORED])
        start = 0
        for number, chunk in enumerate(text.split(IMAGE_MARKER)):
            if number:
                row.ids.extend(self._image)
                row.labels.extend([NOT_SCORED] * len(self._image))
            encoded = self.tokenizer(chunk, add_special_tokens=False, return_offsets_mapping=True)
            for token_id, (first, end) in zip(
                encoded["input_ids"], encoded["offset_mapping"], strict=True
            ):
                is_scored = any(a <= start + first and start + end <= b for a, b in scored)
                row.ids.append(token_id)
                row.labels.append(token_id if is_scored else NOT_SCORED)
            start += len(chunk) + len(IMAGE_MARKER)
        return row

    def _cut(self, row: _Row) -> _Row:
        """At most the context; no picture is left in part."""
        ids = row.ids[: self.max_length_tokens]
        length = len(ids) - ids.count(self._image_id) % len(self._image)
        return _Row(ids[:length], row.labels[:length])

    def _num_pictures(self, row: _Row) -> int:
        return row.ids.count(self._image_id) // len(self._image)

    def _pixels(self, examples: Sequence[Example], rows: Sequence[_Row]) -> dict[str, Tensor]:
        """Of the pictures that rows have places for, in their order."""
        pictures = [
            picture.open()
            for example, row in zip(examples, rows, strict=True)
            for picture in example.pictures[: self._num_pictures(row)]
        ]
        return {"pixel_values": self._pictures(pictures)} if pictures else {}


def _special_ids(tokenizer: PreTrainedTokenizerFast) -> tuple[int, int, int]:
    """Ids that begin a row, end an answer and pad."""
    begin_id, end_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    if begin_id is None or end_id is None or tokenizer.convert_tokens_to_ids(END) != end_id:
        raise ValueError(
            f"the tokenizer must begin rows with a token of its own and end them with {END!r}, got "
            f"{tokenizer.bos_token!r} and {tokenizer.eos_token!r}; use the one that came with the "
            "checkpoint"
        )
    # Llama has no token for padding; MobileVLM pads with the unknown one. The mask hides it anyway.
    candidates = (tokenizer.pad_token_id, tokenizer.unk_token_id, end_id)
    return begin_id, end_id, next(one for one in candidates if one is not None)


def _scored_spans(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Where the scored pieces begin and end in the joined text."""
    ends = list(accumulate(len(piece.text) for piece in pieces))
    return [
        (end - len(piece.text), end)
        for piece, end in zip(pieces, ends, strict=True)
        if piece.is_scored
    ]


def _padded(rows: Sequence[list[int]], padding: int, side: Literal["left", "right"]) -> Tensor:
    length = max(map(len, rows))
    gaps = [[padding] * (length - len(row)) for row in rows]
    filled = [
        gap + row if side == "left" else row + gap for row, gap in zip(rows, gaps, strict=True)
    ]
    return torch.tensor(filled, dtype=torch.long)
