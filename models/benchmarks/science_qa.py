"""ScienceQA, test: 4,241 multiple-choice questions of school science, 2,017 of them with a picture.

Source: Lu et al., arXiv 2209.09513; LLaVA's ``llava/eval/eval_science_qa.py``. The headline, SQA-I,
is the accuracy over questions with a picture. lmms-eval differs: it takes small letters too, any
text after "A.", and no "The answer is".
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.benchmarks.contract import (
    Benchmark,
    Item,
    Verdict,
    mean,
    mean_by_category,
)
from rankscope.models.benchmarks.protocol import (
    CHOICE_MAX_NEW_TOKENS,
    OPTION_LETTER,
)
from rankscope.models.benchmarks.rows import (
    REMEDY,
    Row,
    by_key,
    read_json,
    row_of,
    shortened,
)
from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import IMAGE_MARKER

LETTERS = ("A", "B", "C", "D", "E")
# The last dot is any character but a line break, as in the official script: an answer that ends
# with the letter is not recognised.
_SENTENCE = re.compile(r"The answer is ([A-Z]).")


class ScienceQa(Benchmark):
    """ScienceQA test; tables show the questions with a picture."""

    model_config = ConfigDict(title="ScienceQA-IMG")

    max_new_tokens: ClassVar[int] = CHOICE_MAX_NEW_TOKENS
    pads_pictures: ClassVar[bool] = False
    headline: ClassVar[str] = "image_accuracy"
    official_groups: ClassVar[int] = 4_241

    kind: Literal["science_qa"] = "science_qa"
    question_file: Path = Field(description="LLaVA's llava_test_CQM-A.json.")
    problem_file: Path = Field(description="ScienceQA's problems.json.")
    split_file: Path = Field(description="ScienceQA's pid_splits.json.")
    image_dir: Path = Field(description="Folder of the test pictures, with 5/image.png and others.")

    @override
    def read_items(self) -> Iterator[Item]:
        splits = row_of(str(self.split_file), read_json(self.split_file))
        problems = row_of(str(self.problem_file), read_json(self.problem_file))
        in_test = frozenset(splits.texts("test"))
        pictures = Folder.at(self.image_dir)
        for key, question in by_key(self._questions(), lambda row: row.name("id")).items():
            if key not in in_test:
                raise question.refused(f"id must be in the test part of {self.split_file}", key)
            yield _item(key, question, problems.row(key), pictures)

    def _questions(self) -> Iterator[Row]:
        rows = read_json(self.question_file)
        if not isinstance(rows, list):
            raise ValueError(  # noqa: TRY004 - bad input, not a bad call
                f"{self.question_file}: must be a JSON list, got {shortened(rows)}; {REMEDY}"
            )
        for number, row in enumerate(rows, start=1):
            yield row_of(f"{self.question_file} row {number}", row)

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        letters = [letter_in(answer) for answer in answers]
        scores = tuple(
            float((letter,) == item.gold) for item, letter in zip(items, letters, strict=True)
        )
        has_image = [item.image is not None for item in items]
        num_unclear = letters.count(None)
        return Verdict(
            item_scores=scores,
            metrics={
                "image_accuracy": mean([s for s, i in zip(scores, has_image, strict=True) if i]),
                "text_accuracy": mean([s for s, i in zip(scores, has_image, strict=True) if not i]),
                "accuracy": mean(scores),
            },
            by_category=mean_by_category(items, scores),
            notes=(f"{num_unclear:,} answers name no letter and count as wrong",)
            if num_unclear
            else (),
        )


def letter_in(answer: str) -> str | None:
    """The letter that an answer chooses by the official rule, or None."""
    if answer in LETTERS:
        return answer
    if answer[:1] in LETTERS and answer[1:3] == ". ":
        return answer[0]
    found = _SENTENCE.findall(answer)
    return found[0] if len(found) == 1 else None


def _item(key: str, question: Row, problem: Row, pictures: Folder) -> Item:
    choices, answer = problem.texts("choices"), problem.whole("answer")
    if not 0 <= answer < len(choices) <= len(LETTERS):
        raise problem.refused(
            f"answer must count one of at most {len(LETTERS)} choices from 0",
            f"{answer} of {len(choices)}",
        )
    has_image = "image" in question.cells
    turns = question.rows("conversations")
    if not turns:
        raise question.refused("conversations must begin with the question", turns)
    words = turns[0].text("value").replace(IMAGE_MARKER, "").strip()
    return Item(
        key=key,
        group=key,
        image=pictures.file(question.text("image"), question.place) if has_image else None,
        prompt=f"{words}\n{OPTION_LETTER}",
        categories=(problem.text("subject"), "with picture" if has_image else "text alone"),
        gold=(LETTERS[answer],),
        options=choices,
    )
