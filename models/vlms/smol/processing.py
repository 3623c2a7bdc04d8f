"""Dialogues and pictures to batches of the SmolLM2 model, and generated tokens back to words.

The text is ChatML, as SmolLM2-Instruct was trained on, without the system turn that its template
puts first where a dialogue has none: it would be a third of a short question's tokens.

Shape letters: B rows, L tokens, P pictures of all rows, V visual tokens, D vision width.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Turn
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.smol.modeling import SmolVlmConfig
from rankscope.models.vlms.smol.sizes import NUM_VISUAL_TOKENS

START, END = "<|im_start|>", "<|im_end|>"


class _Row(NamedTuple):
    ids: list[int]
    labels: list[int]

    def add(self, ids: Sequence[int], *, is_scored: bool = False) -> None:
        self.ids.extend(ids)
        self.labels.extend(ids if is_scored else [NOT_SCORED] * len(ids))


class SmolProcessor:
    """SmolLM2's tokenizer, its dialogues and the features of pictures.

    Args:
        tokenizer: Of SmolLM2.
        config: Of the model.
        features: Pictures to the tower's pooled features (P, V, D).
        max_answer_tokens: To generate at most.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: SmolVlmConfig,
        features: Callable[[Sequence[Image.Image]], Tensor],
        *,
        max_answer_tokens: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_answer_tokens = max_answer_tokens
        self.max_length_tokens = int(config.text_config.max_position_embeddings)
        self._features = features
        self._image = [config.image_token_id] * NUM_VISUAL_TOKENS
        vocabulary = tokenizer.get_vocab()
        self._start_id, self._end_id = vocabulary[START], vocabulary[END]

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A right-padded batch whose labels score what the assistant says, and its ends.

        Returns:
            ``input_ids``, ``attention_mask``, ``labels`` (B, L) and, if there are any pictures,
            ``input_features`` (P, V, D).

        Raises:
            ValueError: If a dialogue is longer than the model's context or a picture cannot be
                opened.
        """
        rows = [self._row(example, example.turns) for example in examples]
        return {
            "input_ids": _padded([row.ids for row in rows], self._end_id, "right"),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], 0, "right"),
            "labels": _padded([row.labels for row in rows], NOT_SCORED, "right"),
            **self._pictures(examples),
        }

    def prompt_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A left-padded batch for ``generate``: all of each example but its last answer.

        Raises:
            ValueError: As in ``training_batch``.
        """
        rows = [self._row(example, example.turns[:-1]) for example in examples]
        for row in rows:
            row.add([*self._ids("\n"), self._start_id, *self._ids("assistant\n")])
        return {
            "input_ids": _padded([row.ids for row in rows], self._end_id, "left"),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], 0, "left"),
            **self._pictures(examples),
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

    def _row(self, example: Example, turns: Sequence[Turn]) -> _Row:
        row = _Row([], [])
        for turn in turns:
            if row.ids:
                row.add(self._ids("\n"))
            is_scored = turn.role == "assistant"
            row.add([self._start_id, *self._ids(f"{turn.role}\n")])
            for number, text in enumerate(turn.text.split(IMAGE_MARKER)):
                if number:
                    row.add(self._image)
                row.add(self._ids(text), is_scored=is_scored)
            row.add([self._end_id], is_scored=is_scored)
        if len(row.ids) > self.max_length_tokens:
            raise ValueError(
                f"a dialogue must not exceed the model's context of {self.max_length_tokens} "
                f"tokens, got {len(row.ids)} in {example.file} row {example.row}; shorten it"
            )
        return row

    def _ids(self, text: str) -> list[int]:
        """Of plain text: what looks like a special token in it is not one."""
        ids: list[int] = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True
        ).input_ids
        return ids

    def _pictures(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        pictures = [picture.open() for example in examples for picture in example.pictures]
        return {"input_features": self._features(pictures)} if pictures else {}


def _padded(rows: Sequence[Sequence[int]], value: int, side: str) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor(
        [
            [*row, *[value] * (length - len(row))]
            if side == "right"
            else [*[value] * (length - len(row)), *row]
            for row in rows
        ],
        dtype=torch.long,
    )
