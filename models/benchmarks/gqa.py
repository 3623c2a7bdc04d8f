"""GQA, test-dev balanced: 12,578 questions about 398 pictures, short answers by exact match.

Source: Hudson and Manning, arXiv 1902.09506; its ``eval.py``; LLaVA's
``scripts/convert_gqa_for_eval.py``. lmms-eval differs: it ignores punctuation everywhere.
"""

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
from rankscope.models.benchmarks.protocol import SHORT_MAX_NEW_TOKENS
from rankscope.models.benchmarks.rows import by_key, read_json, read_jsonl, row_of
from rankscope.models.confined import Folder

OPEN_TYPE = "query"
"""The structural type of questions that are not answered by choosing or by yes and no."""


class Gqa(Benchmark):
    """GQA test-dev balanced."""

    model_config = ConfigDict(title="GQA")

    max_new_tokens: ClassVar[int] = SHORT_MAX_NEW_TOKENS
    headline: ClassVar[str] = "accuracy"
    official_groups: ClassVar[int] = 12_578

    kind: Literal["gqa"] = "gqa"
    question_file: Path = Field(description="LLaVA's llava_gqa_testdev_balanced.jsonl.")
    annotation_file: Path = Field(description="GQA's testdev_balanced_questions.json.")
    image_dir: Path = Field(description="Folder of GQA's pictures, n161313.jpg and others.")

    @override
    def read_items(self) -> Iterator[Item]:
        annotations = row_of(str(self.annotation_file), read_json(self.annotation_file))
        pictures = Folder.at(self.image_dir)
        questions = by_key(read_jsonl(self.question_file), lambda row: row.name("question_id"))
        for key, question in questions.items():
            if key not in annotations.cells:
                raise question.refused(
                    f"question_id must be annotated in {self.annotation_file}", key
                )
            annotation = annotations.row(key)
            types = annotation.row("types")
            yield Item(
                key=key,
                group=key,
                image=pictures.file(question.text("image"), question.place),
                prompt=question.text("text"),
                categories=(types.text("structural"), f"about {types.text('semantic')}"),
                gold=(annotation.text("answer"),),
            )

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        scores = tuple(
            float((normalized(answer),) == item.gold)
            for item, answer in zip(items, answers, strict=True)
        )
        is_open = [OPEN_TYPE in item.categories for item in items]
        return Verdict(
            item_scores=scores,
            metrics={
                "accuracy": mean(scores),
                "open": mean([s for s, o in zip(scores, is_open, strict=True) if o]),
                "binary": mean([s for s, o in zip(scores, is_open, strict=True) if not o]),
            },
            by_category=mean_by_category(items, scores),
        )


def normalized(answer: str) -> str:
    """An answer as LLaVA hands it to GQA's own script: no full stop at the end, small letters."""
    return answer.rstrip(".").lower()
