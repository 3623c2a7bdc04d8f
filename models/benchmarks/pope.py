"""POPE on COCO: 8,910 yes-or-no questions whether an object is in a picture.

Three categories differ in the objects that are absent: random ones, popular ones, and those that
often come with what is there (adversarial). Tables show the mean of the three F1 scores.

Source: Li et al., arXiv 2305.10355; LLaVA's ``llava/eval/eval_pope.py``, which pairs answers and
labels by their order and fails where nothing is answered yes. lmms-eval differs: an answer must be
exactly yes or no, and its yes ratio is that of the labels.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.benchmarks.bootstrap import bounds, drawn_anew, ratio
from rankscope.models.benchmarks.contract import Benchmark, Item, Verdict, mean
from rankscope.models.benchmarks.protocol import SHORT_ANSWER, SHORT_MAX_NEW_TOKENS
from rankscope.models.benchmarks.rows import Row, by_key, read_jsonl
from rankscope.models.confined import Folder

CATEGORIES = ("adversarial", "popular", "random")
LABELS = ("yes", "no")
NO_WORDS = frozenset({"No", "not", "no"})
# Category, picture and question.
Asked = tuple[str, str, str]


class Pope(Benchmark):
    """POPE, all three categories."""

    model_config = ConfigDict(title="POPE")

    max_new_tokens: ClassVar[int] = SHORT_MAX_NEW_TOKENS
    headline: ClassVar[str] = "mean_f1"
    official_groups: ClassVar[int] = 8_910

    kind: Literal["pope"] = "pope"
    question_file: Path = Field(description="LLaVA's llava_pope_test.jsonl.")
    label_dir: Path = Field(description="Folder of coco_pope_random.json and the other two.")
    image_dir: Path = Field(description="Folder of COCO's val2014 pictures.")

    @override
    def read_items(self) -> Iterator[Item]:
        questions = by_key(read_jsonl(self.question_file), _key)
        present = {row.text("category") for row in questions.values()}
        labels = _labels(self.label_dir, sorted(present))
        pictures = Folder.at(self.image_dir)
        for key, row in questions.items():
            asked = _asked(row.text("category"), row)
            if not labels[asked]:
                raise row.refused(
                    f"the question must have a label in {_label_file(self.label_dir, asked[0])}",
                    asked[1:],
                    "take the labels that LLaVA names: POPE at commit e3e39262",
                )
            yield Item(
                key=key,
                group=key,
                image=pictures.file(asked[1], row.place),
                prompt=row.text("text"),
                categories=(asked[0],),
                gold=(labels[asked].popleft(),),
            )

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        said = [yes_or_no(answer) for answer in answers]
        pairs_by_category: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for item, word in zip(items, said, strict=True):
            pairs_by_category[item.categories[0]].append((item.gold[0], word))
        by_category = {
            category: {**rates(pairs), "items": len(pairs)}
            for category, pairs in sorted(pairs_by_category.items())
        }
        absent = [category for category in CATEGORIES if category not in by_category]
        num_unclear = sum(
            word == "yes" and "yes" not in answer.lower()
            for word, answer in zip(said, answers, strict=True)
        )
        notes = []
        if absent:
            notes.append(f"no questions of {', '.join(absent)}; mean_f1 is that of the others")
        if num_unclear:
            notes.append(f"{num_unclear:,} answers say neither yes nor no and count as yes")
        return Verdict(
            item_scores=tuple(
                float((word,) == item.gold) for item, word in zip(items, said, strict=True)
            ),
            metrics={
                "mean_f1": mean([found["f1"] for found in by_category.values()]),
                **rates([pair for pairs in pairs_by_category.values() for pair in pairs]),
            },
            by_category=by_category,
            notes=tuple(notes),
            intervals=intervals(list(pairs_by_category.values())),
        )


def yes_or_no(answer: str) -> str:
    """What an answer says by the official rule: "no" if its first sentence holds such a word.

    Whatever else it says counts as "yes".
    """
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "yes" if NO_WORDS.isdisjoint(words) else "no"


def rates(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Rates of pairs of label and answer, with "yes" as positive; 0 where nothing is divided.

    ``yes_ratio`` is the fraction of answers, not of labels, that say yes.
    """
    counts = Counter(pairs)
    true_yes = counts["yes", "yes"]
    said_yes, labelled_yes = true_yes + counts["no", "yes"], true_yes + counts["yes", "no"]
    return {
        "accuracy": _ratio(true_yes + counts["no", "no"], len(pairs)),
        "precision": _ratio(true_yes, said_yes),
        "recall": _ratio(true_yes, labelled_yes),
        "f1": _ratio(2 * true_yes, said_yes + labelled_yes),
        "yes_ratio": _ratio(said_yes, len(pairs)),
    }


def intervals(pairs_C: Sequence[Sequence[tuple[str, str]]]) -> dict[str, tuple[float, float]]:
    """Of the rates that are no accuracy, from the pairs of each category."""
    counts_CK = [[Counter(pairs)[pair] for pair in product(LABELS, LABELS)] for pairs in pairs_C]
    drawn_KRC = drawn_anew(counts_CK).transpose(2, 0, 1)
    true_yes_RC, missed_RC, false_yes_RC, _ = drawn_KRC
    f1_RC = ratio(2 * true_yes_RC, 2 * true_yes_RC + missed_RC + false_yes_RC)
    true_yes_R, missed_R, false_yes_R, true_no_R = drawn_KRC.sum(axis=2)
    said_yes_R, labelled_yes_R = true_yes_R + false_yes_R, true_yes_R + missed_R
    return bounds(
        {
            "mean_f1": f1_RC.mean(axis=1),
            "precision": ratio(true_yes_R, said_yes_R),
            "recall": ratio(true_yes_R, labelled_yes_R),
            "f1": ratio(2 * true_yes_R, said_yes_R + labelled_yes_R),
            "yes_ratio": ratio(said_yes_R, said_yes_R + missed_R + true_no_R),
        }
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _key(row: Row) -> str:
    """Category and id: the ids of LLaVA's file are unique as they are, those of others need not."""
    category = row.text("category")
    if category not in CATEGORIES:
        raise row.refused(f"category must be one of {', '.join(CATEGORIES)}", category)
    return f"{category}/{row.name('question_id')}"


def _label_file(label_dir: Path, category: str) -> Path:
    return label_dir / f"coco_pope_{category}.json"


def _labels(label_dir: Path, categories: Sequence[str]) -> defaultdict[Asked, deque[str]]:
    """Labels by what is asked, in file order where something is asked twice.

    The ids cannot join the files: LLaVA numbers all questions anew, the random ones from 10,000,001
    and the popular ones from 20,000,001.
    """
    labels: defaultdict[Asked, deque[str]] = defaultdict(deque)
    for category in categories:
        for row in read_jsonl(_label_file(label_dir, category)):
            label = row.text("label")
            if label not in LABELS:
                raise row.refused("label must be yes or no", label)
            labels[_asked(category, row)].append(label)
    return labels


def _asked(category: str, row: Row) -> Asked:
    """What is asked, without how to answer and with one spelling of a word that has two."""
    question = row.text("text").removesuffix(SHORT_ANSWER).strip().replace("imange", "image")
    return category, row.text("image"), question
