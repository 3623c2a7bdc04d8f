"""Parts of a data set: items that a model is trained on, measured on or scored on.

Shape letters: N pictures, H and W pixels, C colour channels, I items (a question about a picture).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from rankscope.models.data.arrays import IntArray, UInt8Array
from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Picture, Pixels, Turn


class DataPart(Protocol):
    """Items in a fixed order, however they are kept."""

    @property
    def questions(self) -> tuple[str, ...]:
        """What is asked last in each item, without its pictures."""
        ...

    @property
    def answers(self) -> tuple[str, ...]:
        """What is to be said last in each item."""
        ...

    @property
    def skills(self) -> tuple[str, ...]:
        """What each item tests; accuracies are also reported per skill."""
        ...

    @property
    def num_pictures(self) -> int:
        """Pictures that items are about."""
        ...

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of each item, in characters of all its turns."""
        ...

    @property
    def has_pictures(self) -> tuple[bool, ...]:
        """Whether each item is about a picture."""
        ...

    def __len__(self) -> int: ...

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Question and answer of each item, one at a time."""
        ...

    def examples(self, indices: Sequence[int] | IntArray) -> list[Example]:
        """The given items as dialogues."""
        ...

    def subset(self, indices: Sequence[int] | IntArray) -> "DataPart":
        """The given items in the given order."""
        ...

    def head(self, num_items: int) -> "DataPart":
        """The first ``num_items`` items, or all of them if there are fewer."""
        ...

    def shuffled_images(self, seed: int) -> "DataPart":
        """The same dialogues, each about other pictures of this part.

        Raises:
            ValueError: If there are not two pictures.
        """
        ...


DataPart_co = TypeVar("DataPart_co", bound=DataPart, covariant=True)


@dataclass(frozen=True)
class VqaPart:
    """One part of a data set; several items may ask about one picture.

    Args:
        images_NHWC: Pictures, RGB, 0 to 255.
        image_ids_I: Which picture each item asks about: an index into ``images_NHWC``.
        questions: Question of each item.
        answers: Expected answer of each item, scored by exact match.
        skills: What each item tests; accuracies are also reported per skill.
    """

    images_NHWC: UInt8Array
    image_ids_I: IntArray
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    skills: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.image_ids_I), len(self.questions), len(self.answers), len(self.skills)}
        if len(lengths) != 1:
            raise ValueError(
                "image_ids, questions, answers and skills must be of one length, "
                f"got lengths {sorted(lengths)}; give each item one of each"
            )

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def num_pictures(self) -> int:
        """Pictures that items ask about."""
        return len(np.unique(self.image_ids_I))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Characters of question and answer."""
        return tuple(len(question) + len(answer) for question, answer in self.pairs())

    @property
    def has_pictures(self) -> tuple[bool, ...]:
        """Every item asks about one."""
        return (True,) * len(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Question and answer of each item."""
        return zip(self.questions, self.answers, strict=True)

    def images_of(self, indices: Sequence[int] | IntArray) -> UInt8Array:
        """Pictures of the given items, shape (len(indices), H, W, C)."""
        return self.images_NHWC[self.image_ids_I[np.asarray(indices, dtype=np.int64)]]

    def examples(self, indices: Sequence[int] | IntArray) -> list[Example]:
        """The given items as dialogues of a question and its answer."""
        images_IHWC = self.images_of(indices)
        return [
            example_of(image_HWC, self.questions[item], self.answers[item], item=int(item))
            for image_HWC, item in zip(images_IHWC, indices, strict=True)
        ]

    def subset(self, indices: Sequence[int] | IntArray) -> "VqaPart":
        """The given items in the given order; the pictures are shared, not copied."""
        chosen = np.asarray(indices, dtype=np.int64)
        return VqaPart(
            images_NHWC=self.images_NHWC,
            image_ids_I=self.image_ids_I[chosen],
            questions=tuple(self.questions[i] for i in chosen),
            answers=tuple(self.answers[i] for i in chosen),
            skills=tuple(self.skills[i] for i in chosen),
        )

    def head(self, num_items: int) -> "VqaPart":
        """The first ``num_items`` items, or all of them if there are fewer."""
        return self.subset(np.arange(min(num_items, len(self))))

    def shuffled_images(self, seed: int) -> "VqaPart":
        """The same questions, each about another picture of this part.

        A model that still answers well does not look at the pictures. One random cycle through all
        pictures in use replaces each by its successor, so that no item can keep its own.

        Raises:
            ValueError: If all items ask about one picture.
        """
        used = np.unique(self.image_ids_I)
        _check_shuffle(len(used))
        cycle = np.random.default_rng(seed).permutation(used)
        successor = np.zeros(len(self.images_NHWC), dtype=np.int64)
        successor[cycle] = np.roll(cycle, -1)
        return replace(self, image_ids_I=successor[self.image_ids_I])


@dataclass(frozen=True)
class DialoguePart:
    """Dialogues from people's own files; pictures stay where they are until they are asked for.

    Args:
        dialogues: One per item, wherever they are kept; the last answer is what is scored.
        skills: What each of them tests.
        lengths: Characters of all turns of each.
        has_pictures: Whether each is about any.
    """

    dialogues: Sequence[Example]
    skills: tuple[str, ...]
    lengths: tuple[int, ...]
    has_pictures: tuple[bool, ...]

    @classmethod
    def of(cls, dialogues: Sequence[Example], skills: Sequence[str]) -> "DialoguePart":
        """Of dialogues that are in memory."""
        return cls(
            tuple(dialogues),
            tuple(skills),
            tuple(example.num_chars for example in dialogues),
            tuple(bool(example.pictures) for example in dialogues),
        )

    def __len__(self) -> int:
        return len(self.dialogues)

    @property
    def questions(self) -> tuple[str, ...]:
        """The turn before the last answer, without its pictures."""
        return tuple(question for question, _ in self.pairs())

    @property
    def answers(self) -> tuple[str, ...]:
        """The last answers."""
        return tuple(answer for _, answer in self.pairs())

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The last answer of each dialogue and the turn before it."""
        for example in self.dialogues:
            *_, question, answer = example.turns
            yield _words(question.text), answer.text

    @property
    def num_pictures(self) -> int:
        """Pictures that dialogues are about; equal ones at different places count apart."""
        return len(self._pictures)

    @property
    def _pictures(self) -> tuple[Picture, ...]:
        return tuple(dict.fromkeys(p for example in self.dialogues for p in example.pictures))

    def examples(self, indices: Sequence[int] | IntArray) -> list[Example]:
        """The given dialogues."""
        return [self.dialogues[int(index)] for index in indices]

    def subset(self, indices: Sequence[int] | IntArray) -> "DialoguePart":
        """The given dialogues in the given order, in memory."""
        return DialoguePart.of(self.examples(indices), [self.skills[int(i)] for i in indices])

    def head(self, num_items: int) -> "DialoguePart":
        """The first ``num_items`` dialogues, or all of them if there are fewer."""
        return self.subset(range(min(num_items, len(self))))

    def shuffled_images(self, seed: int) -> "DialoguePart":
        """The same words, each about other pictures of this part.

        As for :class:`VqaPart`: one random cycle through all pictures.

        Raises:
            ValueError: If there are not two pictures.
        """
        pictures = self._pictures
        _check_shuffle(len(pictures))
        cycle = [pictures[int(i)] for i in np.random.default_rng(seed).permutation(len(pictures))]
        successor = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        moved = (
            replace(example, pictures=tuple(successor[picture] for picture in example.pictures))
            for example in self.dialogues
        )
        return replace(self, dialogues=tuple(moved))


def example_of(image_HWC: UInt8Array, question: str, answer: str, *, item: int = 0) -> Example:
    """A question about a drawn picture and its answer, as a dialogue.

    Args:
        image_HWC: The picture, RGB.
        question: What is asked.
        answer: What is to be said.
        item: Its index, for messages.
    """
    turns = (Turn("user", f"{IMAGE_MARKER}\n{question}"), Turn("assistant", answer))
    picture = Picture(f"picture of item {item}", Pixels(image_HWC))
    return Example(str(item), item + 1, (picture,), turns)


def _words(text: str) -> str:
    return text.replace(IMAGE_MARKER, "").strip()


def _check_shuffle(num_pictures: int) -> None:
    if num_pictures < 2:
        raise ValueError(
            f"shuffling needs at least 2 pictures in use, got {num_pictures}; take a larger part"
        )


@dataclass(frozen=True)
class Splits(Generic[DataPart_co]):
    """The four parts of a data set; no two share a picture.

    A scheduler may look at ``train`` and ``probe``; ``validation`` is for people and their choices,
    ``test`` for the last word.
    """

    train: DataPart_co
    probe: DataPart_co
    validation: DataPart_co
    test: DataPart_co

    def question_only_answers(self, questions: Sequence[str]) -> tuple[str, ...]:
        """What somebody would answer who knows each question's usual answer and sees no picture.

        The answers are counted in all parts but test. A question never asked there gets train's
        most frequent answer; ties go to the answer seen first.
        """
        answers_of: dict[str, Counter[str]] = {question: Counter() for question in questions}
        for part in (self.train, self.probe, self.validation):
            for question, answer in part.pairs():
                if question in answers_of:
                    answers_of[question][answer] += 1
        never_asked = "" if all(answers_of.values()) else self._most_frequent_answer()
        usual = {
            question: answers.most_common(1)[0][0] if answers else never_asked
            for question, answers in answers_of.items()
        }
        return tuple(usual[question] for question in questions)

    def _most_frequent_answer(self) -> str:
        """Train's; counted by hashes, since the answers of a large set may not fit into memory."""
        counted = Counter(hash(answer) for _, answer in self.train.pairs())
        best, _ = counted.most_common(1)[0]
        return next(answer for _, answer in self.train.pairs() if hash(answer) == best)
