"""Examples to batches of a model of transformers, and generated tokens back to words.

Shape letters: B rows, L tokens.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rankscope.models.data.dialogue import Example, Unfit
from rankscope.models.vlms.hub.rows import Row, Writer, naming
from rankscope.models.vlms.labels import NOT_SCORED

Side = Literal["left", "right"]


class HubProcessor:
    """A model's own tokenizer, prompts and preparation of pictures.

    Args:
        writer: Turns examples into rows of tokens, as the model's family takes them.
        tokenizer: The model's.
        max_length_tokens: Of one row.
        max_answer_tokens: What a caller of ``generate`` should ask for at most.
    """

    def __init__(
        self,
        writer: Writer,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length_tokens: int,
        max_answer_tokens: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length_tokens = max_length_tokens
        self.max_answer_tokens = max_answer_tokens
        self.end_ids = tuple(sorted(writer.end_ids))
        self.pad_id: int = tokenizer.pad_token_id
        self.writer = writer

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A right-padded batch whose labels score what the assistant says, and its ends.

        Rows that are too long lose text after their last picture.

        Returns:
            ``input_ids``, ``attention_mask``, ``labels`` (B, L), what else the model takes token by
            token, and what it takes of the pictures, in the shapes of its own processor.

        Raises:
            Unfit: If the model cannot take an example, or nothing is left of it to be learned.
        """
        rows, pictures = self.writer.rows(examples, answered=True)
        cut = []
        for example, row in zip(examples, rows, strict=True):
            with naming(example):
                cut.append(self._cut(row))
        labels = _padded([row.labels for row in cut], NOT_SCORED, "right")
        return {**self._inputs(cut, "right"), "labels": labels, **pictures}

    def prompt_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A left-padded batch for ``generate``: all of each example but its last answer.

        Nothing is cut: a prompt whose end is missing asks something else.

        Raises:
            Unfit: If the model cannot take an example, or it is too long.
        """
        rows, pictures = self.writer.rows(examples, answered=False)
        for example, row in zip(examples, rows, strict=True):
            with naming(example):
                self._check_prompt(row)
        return {**self._inputs(rows, "left"), **pictures}

    def decode(self, generated_ids_BL: Tensor) -> list[str]:
        """Words of the generated tokens up to the end of the answer.

        ``generate`` returns prompt and answer: pass the part after the prompt,
        ``output[:, batch["input_ids"].shape[1]:]``.
        """
        answers = []
        for row in generated_ids_BL.tolist():
            said = list(takewhile(lambda token_id: token_id not in self.end_ids, row))
            answers.append(str(self.tokenizer.decode(said, skip_special_tokens=True)).strip())
        return answers

    def _cut(self, row: Row) -> Row:
        limit = self.max_length_tokens
        if row.num_bound >= limit:
            raise Unfit(
                f"the last picture of an example must end within max_length={limit} tokens",
                f"{row.num_bound} tokens up to there",
                "raise max_length, or lower max_picture_pixels if the model has it",
            )
        if all(label == NOT_SCORED for label in row.labels[:limit]):
            raise Unfit(
                f"an answer must begin within max_length={limit} tokens",
                f"{len(row.ids)} tokens in all",
                "raise max_length or leave the row out",
            )
        return row.cut(limit)

    def _check_prompt(self, row: Row) -> None:
        if len(row.ids) > self.max_length_tokens:
            raise Unfit(
                f"a prompt must not be longer than max_length={self.max_length_tokens} tokens",
                f"{len(row.ids)}",
                "raise max_length, lower max_picture_pixels if the model has it, or shorten it",
            )

    def _inputs(self, rows: Sequence[Row], side: Side) -> dict[str, Tensor]:
        inputs = {
            "input_ids": _padded([row.ids for row in rows], self.pad_id, side),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], 0, side),
        }
        for name in rows[0].kinds:
            inputs[name] = _padded([row.kinds[name] for row in rows], 0, side)
        return inputs


def _padded(rows: Sequence[list[int]], padding: int, side: Side) -> Tensor:
    length = max(map(len, rows))
    gaps = [[padding] * (length - len(row)) for row in rows]
    filled = [
        gap + row if side == "left" else row + gap for row, gap in zip(rows, gaps, strict=True)
    ]
    return torch.tensor(filled, dtype=torch.long)
