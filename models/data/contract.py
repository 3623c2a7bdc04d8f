"""What every data set gives: disjoint parts of pictures, questions and answers.

Shape letters: N pictures, H and W pixels, C colour channels, I items (a question about a picture).
"""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]


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

    def images_of(self, indices: Sequence[int] | IntArray) -> UInt8Array:
        """Pictures of the given items, shape (len(indices), H, W, C)."""
        return self.images_NHWC[self.image_ids_I[np.asarray(indices, dtype=np.int64)]]

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
        if len(used) < 2:
            raise ValueError(
                f"shuffling needs at least 2 pictures in use, got {len(used)}; take a larger part"
            )
        cycle = np.random.default_rng(seed).permutation(used)
        successor = np.zeros(len(self.images_NHWC), dtype=np.int64)
        successor[cycle] = np.roll(cycle, -1)
        return replace(self, image_ids_I=successor[self.image_ids_I])


@dataclass(frozen=True)
class VqaSplits:
    """The four parts of a data set; no two share a picture.

    A scheduler may look at ``train`` and ``probe``; ``validation`` is for people and their choices,
    ``test`` for the last word.
    """

    train: VqaPart
    probe: VqaPart
    validation: VqaPart
    test: VqaPart

    def question_only_answers(self, questions: Sequence[str]) -> tuple[str, ...]:
        """What somebody would answer who knows each question's usual answer and sees no picture.

        The answers are counted in all parts but test. A question never asked there gets train's
        most frequent answer; ties go to the answer seen first.
        """
        answers_by_question: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for part in (self.train, self.probe, self.validation):
            for question, answer in zip(part.questions, part.answers, strict=True):
                answers_by_question[question][answer] += 1
        best_by_question = {
            question: answers.most_common(1)[0][0]
            for question, answers in answers_by_question.items()
        }
        overall_best = Counter(self.train.answers).most_common(1)[0][0]
        return tuple(best_by_question.get(question, overall_best) for question in questions)


class VqaDataset(BaseModel, ABC):
    """The configuration of a data set; equal configurations give equal data on every machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @property
    @abstractmethod
    def family(self) -> str:
        """Which data sets count as the same kind of shift away from pretraining.

        Whatever is learned from past runs never comes from the family it is judged on. Two tasks
        that share an answer remap are one family, and so is one task under several seeds or sizes.
        """

    @abstractmethod
    def load(self, image_size_px: int) -> VqaSplits:
        """All parts, with square pictures of ``image_size_px`` pixels a side."""

    def sample(self, image_size_px: int, num_items: int) -> VqaPart:
        """The first train items about different pictures, for people to look at."""
        train = self.load(image_size_px).train
        _, first_items = np.unique(train.image_ids_I, return_index=True)
        return train.subset(np.sort(first_items)[:num_items])
