"""What every benchmark gives: questions as its protocol asks them, and its official score."""

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Args:
        key: Its name among the items of the benchmark.
        group: Items of one group count together where a metric asks for all of them: the rotations
            of an MMBench question, the two questions about an MME picture. Else the key.
        image: Its picture, as a file or as bytes; None for a question of text alone.
        prompt: The user's words as the protocol builds them, without the picture's placeholder;
            the model's processor puts the rest around them.
        categories: What it tests; scores are also reported for each of these.
        gold: The right answer, or the answers of ten annotators.
        options: What the letters A, B, ... stand for; "" for a letter that stands for nothing.
    """

    key: str
    group: str
    image: Path | bytes | None
    prompt: str
    categories: tuple[str, ...]
    gold: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a benchmark's own rule says of all answers.

    Args:
        item_scores: Of each item in item order, 0 to 1.
        metrics: By name; the headline is one of them.
        by_category: Metrics of each category.
        notes: What was unusual.
        intervals: Of metrics that are no means of right and wrong, 95 %; others have Wilson's.
    """

    item_scores: tuple[float, ...]
    metrics: dict[str, float]
    by_category: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


class BenchmarkScore(BaseModel):
    """The score of a model on a benchmark.

    Fractions run from 0 to 1; what MME calls points runs to ``best``.

    Args:
        kind: Which benchmark.
        settings: Its settings that change the figure.
        headline: Name of the metric that tables show.
        best: Largest value the headline can have.
        metrics: All metrics by name.
        by_category: Metrics of each category.
        item_scores: Of each item in item order: right 1, wrong 0, TextVQA between. With
            ``items_digest`` this allows paired tests between runs.
        group_scores: Least score of each group, groups in order of their first item: what MMBench
            counts. Equal to ``item_scores`` where every item is a group.
        items_digest: Equal for equal items with equal right answers; never pair unequal ones.
        num_items: Questions asked.
        notes: What was unusual, such as answers that could not be parsed.
        intervals: Of metrics that are no means of right and wrong, 95 %, by bootstrap over groups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    settings: dict[str, str]
    headline: str
    best: float
    metrics: dict[str, float]
    by_category: dict[str, dict[str, float]]
    item_scores: tuple[float, ...]
    group_scores: tuple[float, ...]
    items_digest: str
    num_items: int
    notes: tuple[str, ...]
    intervals: dict[str, tuple[float, float]]

    @property
    def value(self) -> float:
        """The headline's value."""
        return self.metrics[self.headline]


class Benchmark(BaseModel, ABC):
    """Where the files of a benchmark are; torch-free, so that any process can read and score it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: ClassVar[int]
    """Longest answer of the protocol."""
    pads_pictures: ClassVar[bool] = True
    """Whether MobileVLM pads pictures to a square before CLIP's processor, or leaves them to it."""
    headline: ClassVar[str]
    best: ClassVar[float] = 1.0
    official_groups: ClassVar[int]
    """Groups (see ``Item.group``) in the official files; another number is noted, not refused."""
    counted: ClassVar[str] = "questions"
    """What a group is to people."""

    kind: str

    @abstractmethod
    def read_items(self) -> Iterable[Item]:
        """All items in the order of the official files, each with a key of its own.

        Raises:
            ValueError: If a file or a picture is missing, broken or of another version.
        """

    @abstractmethod
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        """Apply the official rule to one answer per item."""

    def reported_settings(self) -> dict[str, str]:
        """Settings that change the figure; a score carries them."""
        return {}

    def items(self) -> tuple[Item, ...]:
        """All items.

        Raises:
            ValueError: If a file or a picture is missing, broken or of another version.
        """
        items = tuple(self.read_items())
        if not items:
            raise ValueError(
                f"benchmark {self.kind}: its files must hold questions, got none; check the paths"
            )
        return items

    def score(self, predictions: Mapping[str, str]) -> BenchmarkScore:
        """Read the items and score an answer to each.

        Args:
            predictions: Generated answers by item key.

        Raises:
            ValueError: If an item has no answer, or as :meth:`items`.
        """
        return self.score_items(self.items(), predictions)

    def score_items(self, items: Sequence[Item], predictions: Mapping[str, str]) -> BenchmarkScore:
        """The same for items that were read before.

        Raises:
            ValueError: If an item has no answer.
        """
        missing = [item.key for item in items if item.key not in predictions]
        if missing:
            raise ValueError(
                f"benchmark {self.kind}: every item must have an answer, {len(missing):,} of "
                f"{len(items):,} have none, first {', '.join(missing[:3])}; generate those too"
            )
        answers = [predictions[item.key] for item in items]
        verdict = self.judge(items, answers)
        group_scores = least_by_group(items, verdict.item_scores)
        return BenchmarkScore(
            kind=self.kind,
            settings=self.reported_settings(),
            headline=self.headline,
            best=self.best,
            metrics=verdict.metrics,
            by_category=verdict.by_category,
            item_scores=verdict.item_scores,
            group_scores=tuple(group_scores.values()),
            items_digest=digest_of(items),
            num_items=len(items),
            notes=(*self._notes(len(group_scores), items, predictions), *verdict.notes),
            intervals=verdict.intervals,
        )

    def _notes(
        self, num_groups: int, items: Sequence[Item], predictions: Mapping[str, str]
    ) -> list[str]:
        notes = []
        if num_groups != self.official_groups:
            notes.append(
                f"{num_groups:,} {self.counted} instead of the official {self.official_groups:,}: "
                "not comparable with published figures"
            )
        num_empty = sum(not predictions[item.key].strip() for item in items)
        if num_empty:
            notes.append(f"{num_empty:,} answers are empty")
        num_strangers = len(predictions.keys() - {item.key for item in items})
        if num_strangers:
            notes.append(f"{num_strangers:,} predictions belong to no item and were left out")
        return notes


def least_by_group(items: Sequence[Item], item_scores: Sequence[float]) -> dict[str, float]:
    """The least score of each group, groups in order of their first item."""
    least: dict[str, float] = {}
    for item, score in zip(items, item_scores, strict=True):
        least[item.group] = min(score, least.get(item.group, score))
    return least


def mean_by_category(items: Sequence[Item], scores: Sequence[float]) -> dict[str, dict[str, float]]:
    """Accuracy and number of items of each category, in alphabetical order."""
    scores_by_category: defaultdict[str, list[float]] = defaultdict(list)
    for item, score in zip(items, scores, strict=True):
        for category in item.categories:
            scores_by_category[category].append(score)
    return {
        category: {"accuracy": mean(found), "items": len(found)}
        for category, found in sorted(scores_by_category.items())
    }


def mean(scores: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(scores) / len(scores) if scores else 0.0


def digest_of(items: Sequence[Item]) -> str:
    """Equal for equal items with equal right answers."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.key, item.gold)).encode())
    return digest.hexdigest()
