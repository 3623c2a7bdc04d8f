"""Questions and pictures to batches of the embedded model, and generated tokens back to words.

Shape letters: B batch, L tokens, N pictures, H W C pixels.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Unfit
from rankscope.models.vlms.embedded.modeling import EmbeddedVlmForConditionalGeneration
from rankscope.models.vlms.labels import NOT_SCORED

PAD, END, IMAGE, UNKNOWN = "<pad>", "</s>", "<image>", "<unk>"
"""Label of tokens that do not count towards the loss (PyTorch's ``ignore_index``)."""
MAX_ANSWER_TOKENS = 6
"""To generate: the longest built-in answers are five words, the sixth token ends them."""

SETTINGS_FILE = "processor.json"


def weights_dir() -> Path:
    """Where the shipped weights, tokenizer and model card lie."""
    return Path(__file__).with_name("weights")


def load_embedded() -> tuple[EmbeddedVlmForConditionalGeneration, "EmbeddedProcessor"]:
    """The pretrained embedded model in float32 and its processor; needs no network."""
    model = EmbeddedVlmForConditionalGeneration.from_pretrained(
        weights_dir(), local_files_only=True, dtype=torch.float32
    )
    return model, EmbeddedProcessor.from_pretrained(weights_dir())


class EmbeddedProcessor:
    """A word-level tokenizer and the preparation of pictures.

    Words are lower-cased and punctuation is dropped, so that a question ends with its last word.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, image_size_px: int, num_visual_tokens: int
    ) -> None:
        self.tokenizer = tokenizer
        self.image_size_px = image_size_px
        self.num_visual_tokens = num_visual_tokens
        self.max_answer_tokens = MAX_ANSWER_TOKENS
        self._ids_by_word: dict[str, int] = tokenizer.get_vocab()
        self._pad_id, self._end_id, self._image_id, self._unknown_id = (
            self._ids_by_word[token] for token in (PAD, END, IMAGE, UNKNOWN)
        )

    @classmethod
    def from_words(
        cls, words: Iterable[str], image_size_px: int = 48, num_visual_tokens: int = 9
    ) -> Self:
        """A new processor that knows the given words; the order of ids is alphabetical."""
        vocabulary = [PAD, END, IMAGE, UNKNOWN, *sorted(set(words))]
        tokenizer = Tokenizer(
            models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN)
        )
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s<>/]"), " ")]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer,
            pad_token=PAD,
            eos_token=END,
            unk_token=UNKNOWN,
            additional_special_tokens=[IMAGE],
        )
        return cls(fast, image_size_px, num_visual_tokens)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Self:
        """The processor that ``save_pretrained`` wrote."""
        settings = json.loads((Path(directory) / SETTINGS_FILE).read_text())
        tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
        return cls(tokenizer, **settings)

    def save_pretrained(self, directory: str | Path) -> None:
        """Write the tokenizer and the two sizes."""
        self.tokenizer.save_pretrained(directory)
        settings = {
            "image_size_px": self.image_size_px,
            "num_visual_tokens": self.num_visual_tokens,
        }
        (Path(directory) / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n")

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A right-padded batch whose labels score the answers and their end only.

        Args:
            examples: Questions and answers in known words about one picture each.

        Returns:
            ``input_ids``, ``attention_mask``, ``labels`` (B, L) and ``pixel_values`` (B, C, H, W).

        Raises:
            ValueError: If a word is unknown to the model, or an example has no single picture.
        """
        dialogues = [_questions(example) for example in examples]
        return self.dialogue_batch(self._images(examples), dialogues)

    def dialogue_batch(
        self, images_NHWC: UInt8Array, dialogues: Sequence[Sequence[tuple[str, str]]]
    ) -> dict[str, Tensor]:
        """As ``training_batch``, of pictures of the model's size, questions and answers."""
        rows, label_rows = [], []
        for dialogue in dialogues:
            row = [self._image_id] * self.num_visual_tokens
            labels = [NOT_SCORED] * len(row)
            for question, answer in self._pairs_of_ids(dialogue):
                row += [*question, *answer, self._end_id]
                labels += [NOT_SCORED] * len(question) + [*answer, self._end_id]
            rows.append(row)
            label_rows.append(labels)
        length = max(map(len, rows))
        return {
            "input_ids": _tensor([row + [self._pad_id] * (length - len(row)) for row in rows]),
            "attention_mask": _tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows]),
            "pixel_values": self.pixels(images_NHWC),
            "labels": _tensor([row + [NOT_SCORED] * (length - len(row)) for row in label_rows]),
        }

    def prompt_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A left-padded batch for ``generate``: all of each example but its last answer.

        Arguments and errors as in ``training_batch``.
        """
        rows = [self._prompt(_questions(example)) for example in examples]
        length = max(map(len, rows))
        return {
            "input_ids": _tensor([[self._pad_id] * (length - len(row)) + row for row in rows]),
            "attention_mask": _tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows]),
            "pixel_values": self.pixels(self._images(examples)),
        }

    def decode(self, generated_ids_BL: Tensor) -> list[str]:
        """Words of the generated tokens up to the end token.

        ``generate`` returns prompt and answer: pass the part after the prompt,
        ``output[:, batch["input_ids"].shape[1]:]``.
        """
        answers = []
        for row in generated_ids_BL.tolist():
            answer = list(takewhile(lambda token_id: token_id != self._end_id, row))
            answers.append(" ".join(self.tokenizer.convert_ids_to_tokens(answer)))
        return answers

    def pixels(self, images_NHWC: UInt8Array) -> Tensor:
        """Pictures as the vision tower takes them: (B, C, H, W), -1 to 1."""
        expected = (self.image_size_px, self.image_size_px, 3)
        if images_NHWC.shape[1:] != expected:
            raise ValueError(
                f"pictures must have shape {expected}, got {images_NHWC.shape[1:]}; "
                f"load the data set with image_size_px={self.image_size_px}"
            )
        scaled = images_NHWC.astype(np.float32) / 127.5 - 1.0
        return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()

    def _images(self, examples: Sequence[Example]) -> UInt8Array:
        """One picture each at the model's size, shape (B, H, W, C)."""
        return np.stack([self._image(example) for example in examples])

    def _image(self, example: Example) -> UInt8Array:
        picture = example.pictures[0].open()
        size = (self.image_size_px, self.image_size_px)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(picture)

    def _prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        row = [self._image_id] * self.num_visual_tokens
        for question, answer in self._pairs_of_ids(turns[:-1]):
            row += [*question, *answer, self._end_id]
        return row + self._ids([turns[-1][0]])[0]

    def _pairs_of_ids(
        self, dialogue: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[list[int], list[int]]]:
        questions, answers = [text for text, _ in dialogue], [text for _, text in dialogue]
        return zip(self._ids(questions), self._ids(answers), strict=True)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:  # of which the tokenizer makes an error
            return []
        rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False).input_ids
        for text, row in zip(texts, rows, strict=True):
            if self._unknown_id in row:
                raise ValueError(
                    f"the embedded model knows a fixed set of words, got {self._unknown(text)!r} "
                    f"in {text!r}; reword it, or train another model on this data set"
                )
        return rows

    def _unknown(self, text: str) -> str:
        words: str = self.tokenizer.backend_tokenizer.normalizer.normalize_str(text)
        return next(word for word in words.split() if word not in self._ids_by_word)


def _questions(example: Example) -> list[tuple[str, str]]:
    """Questions and answers in turn.

    Raises:
        Unfit: If there is more than the embedded model was pretrained on.
    """
    roles = {turn.role for turn in example.turns}
    if roles != {"user", "assistant"}:
        raise _unfit(
            example, "turns of user and assistant alone", f"turns of {', '.join(sorted(roles))}"
        )
    if len(example.pictures) != 1 or IMAGE_MARKER not in example.turns[0].text:
        raise _unfit(
            example, "one picture, with the first question", f"{len(example.pictures)} pictures"
        )
    texts = [turn.text.replace(IMAGE_MARKER, "").strip() for turn in example.turns]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _unfit(example: Example, taken: str, found: str) -> Unfit:
    return Unfit(
        f"the embedded model takes {taken}",
        found,
        "leave such rows out or choose another model",
        where=f"{example.file} row {example.row}".strip(),
    )


def generate_answers(
    model: EmbeddedVlmForConditionalGeneration,
    processor: EmbeddedProcessor,
    examples: Sequence[Example],
) -> list[str]:
    """The last answers of the model, adapted by peft or not, generated greedily."""
    batch: dict[str, Any] = processor.prompt_batch(examples)
    output_BL = model.generate(  # type: ignore[misc]
        **batch, max_new_tokens=processor.max_answer_tokens, do_sample=False
    )
    return processor.decode(output_BL[:, batch["input_ids"].shape[1] :])


def _tensor(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.long)
