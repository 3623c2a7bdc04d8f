"""MME: 14 tasks, two yes-or-no questions about each of 1,187 pictures.

A task gives up to 200 points: percent of questions, plus percent of pictures with both questions
right. Ten tasks are perception (2,000 points, which tables show), four cognition (800).

Source: Fu et al., arXiv 2306.13394; its ``eval_tool/calculation.py``; LLaVA's
``convert_answer_to_mme.py``. lmms-eval differs: it also takes "y" and "n", and drops full stops.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.benchmarks.bootstrap import bounds, drawn_anew
from rankscope.models.benchmarks.contract import (
    Benchmark,
    Item,
    Verdict,
    least_by_group,
    mean,
)
from rankscope.models.benchmarks.protocol import SHORT_ANSWER, SHORT_MAX_NEW_TOKENS
from rankscope.models.benchmarks.rows import Row, read_jsonl, read_lines, shortened
from rankscope.models.confined import Folder

PERCEPTION = (
    *("existence", "count", "position", "color", "posters"),
    *("celebrity", "scene", "landmark", "artwork", "OCR"),
)
COGNITION = (
    *("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
)
QUESTIONS_PER_PICTURE = 2
OFFICIAL_END = "Please answer yes or no."


class Mme(Benchmark):
    """MME, all fourteen tasks."""

    model_config = ConfigDict(title="MME")

    max_new_tokens: ClassVar[int] = SHORT_MAX_NEW_TOKENS
    headline: ClassVar[str] = "perception"
    best: ClassVar[float] = 2_000.0
    official_groups: ClassVar[int] = 1_187
    counted: ClassVar[str] = "pictures"

    kind: Literal["mme"] = "mme"
    question_file: Path = Field(description="LLaVA's llava_mme.jsonl.")
    data_dir: Path = Field(
        description="MME_Benchmark_release_version: a folder of each task, with pictures and texts."
    )

    @override
    def read_items(self) -> Iterator[Item]:
        folder = Folder.at(self.data_dir)
        rows_by_picture: defaultdict[str, list[Row]] = defaultdict(list)
        for row in read_jsonl(self.question_file):
            rows_by_picture[row.text("question_id")].append(row)
        for picture, rows in rows_by_picture.items():
            task = picture.split("/")[0]
            if task not in PERCEPTION + COGNITION:
                raise rows[0].refused("question_id must begin with a task of MME", picture)
            if len(rows) != QUESTIONS_PER_PICTURE:
                raise rows[-1].refused(
                    f"a picture must have {QUESTIONS_PER_PICTURE} questions",
                    f"{len(rows)} about {picture}",
                )
            answers = _answers(folder, task, picture, rows[0])
            for number, row in enumerate(rows, start=1):
                question = _question(row.text("text"))
                if question not in answers:
                    raise row.refused("the question must be in MME's text", question)
                yield Item(
                    key=f"{picture}#{number}",
                    group=picture,
                    image=folder.file(row.text("image"), row.place),
                    prompt=row.text("text"),
                    categories=(task,),
                    gold=(answers[question],),
                )

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        said = [label_in(answer) for answer in answers]
        scores = tuple(
            float((label,) == item.gold) for item, label in zip(items, said, strict=True)
        )
        ids_by_task: defaultdict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            ids_by_task[item.categories[0]].append(index)
        by_task = {
            task: points([items[i] for i in ids], [scores[i] for i in ids])
            for task, ids in sorted(ids_by_task.items())
        }
        absent = [task for task in PERCEPTION + COGNITION if task not in by_task]
        num_unclear = said.count("other")
        notes = []
        if absent:
            notes.append(f"no questions of {', '.join(absent)}; sums lack up to 200 points of each")
        if num_unclear:
            notes.append(f"{num_unclear:,} answers begin with neither yes nor no and are wrong")
        sums = {
            name: sum(by_task[task]["score"] for task in tasks if task in by_task)
            for name, tasks in (("perception", PERCEPTION), ("cognition", COGNITION))
        }
        return Verdict(
            item_scores=scores,
            metrics={**sums, "total": sum(sums.values())},
            by_category=by_task,
            notes=tuple(notes),
            intervals=intervals(
                {
                    task: [(items[i].group, scores[i]) for i in ids]
                    for task, ids in sorted(ids_by_task.items())
                }
            ),
        )


def label_in(answer: str) -> str:
    """What an answer says by the official rule: "yes", "no" or "other".

    Only its first four characters count, and "yes" before "no"; so "Nothing" is a no.
    """
    start = answer.lower()[:4]
    return next((label for label in ("yes", "no") if label in start), "other")


def points(items: Sequence[Item], scores: Sequence[float]) -> dict[str, float]:
    """Points of one task, 0 to 200, and what they are made of, each in percent."""
    group_scores = least_by_group(items, scores)
    accuracy, accuracy_plus = 100 * mean(scores), 100 * mean(tuple(group_scores.values()))
    return {
        "score": accuracy + accuracy_plus,
        "accuracy_percent": accuracy,
        "accuracy_plus_percent": accuracy_plus,
        "items": len(items),
    }


def intervals(
    scores_of: Mapping[str, Sequence[tuple[str, float]]],
) -> dict[str, tuple[float, float]]:
    """Of the sums of points, over pictures: with none, one or two of their questions right.

    Args:
        scores_of: Of each task, picture and score of every question.
    """
    counts_CK = []
    for scored in scores_of.values():
        right: Counter[str] = Counter()
        for picture, score in scored:
            right[picture] += int(score)
        counts = Counter(right.values())
        counts_CK.append([counts[number] for number in range(QUESTIONS_PER_PICTURE + 1)])
    none_RC, one_RC, both_RC = drawn_anew(counts_CK).transpose(2, 0, 1)
    pictures_RC = none_RC + one_RC + both_RC
    points_RC = 100 * (one_RC / 2 + 2 * both_RC) / pictures_RC
    tasks = list(scores_of)
    sums = {
        name: points_RC[:, [task in of for task in tasks]].sum(axis=1)
        for name, of in (("perception", PERCEPTION), ("cognition", COGNITION))
    }
    return bounds({**sums, "total": points_RC.sum(axis=1)})


def _answers(folder: Folder, task: str, picture: str, row: Row) -> Mapping[str, str]:
    """Right answers by question, from the text beside a picture or in a folder of texts.

    Raises:
        ValueError: If the text is missing or says anything but yes and no.
    """
    texts = f"{task}/questions_answers_YN" if (folder.path / task / "images").is_dir() else task
    name = picture.rpartition("/")[2].partition(".")[0]
    answers: dict[str, str] = {}
    for place, line in read_lines(folder.file(f"{texts}/{name}.txt", row.place)):
        question, tab, answer = line.strip().partition("\t")
        if not tab or answer.lower() not in {"yes", "no"}:
            raise ValueError(
                f"{place}: must be a question, a tab and Yes or No, got {shortened(line)}; "
                "fetch MME again"
            )
        answers[_question(question)] = answer.lower()
    return answers


def _question(text: str) -> str:
    """A question without how to answer, which LLaVA words differently."""
    return text.replace(SHORT_ANSWER, "").strip().removesuffix(OFFICIAL_END).rstrip()
