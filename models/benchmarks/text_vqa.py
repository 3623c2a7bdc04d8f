"""TextVQA, validation v0.5.1: 5,000 questions about text in pictures, ten people's answers each.

Source: Singh et al., arXiv 1904.08920; LLaVA's ``llava/eval/eval_textvqa.py`` and
``m4c_evaluator.py``. Its protocol shows the model what an OCR program read in the picture;
lmms-eval does not, which costs points, so a score says which it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import override

from rankscope.models.benchmarks.contract import (
    Benchmark,
    Item,
    Verdict,
    mean,
    mean_by_category,
)
from rankscope.models.benchmarks.evalai import processed
from rankscope.models.benchmarks.protocol import SHORT_ANSWER, SHORT_MAX_NEW_TOKENS
from rankscope.models.benchmarks.rows import Row, by_key, read_json, read_jsonl, row_of
from rankscope.models.confined import Folder

NUM_ANNOTATORS = 10
OCR_LINE = "Reference OCR token:"
# Picture, and question in small letters. LLaVA's file gives the picture as question_id.
Asked = tuple[str, str]


class TextVqa(Benchmark):
    """TextVQA validation."""

    model_config = ConfigDict(title="TextVQA")

    max_new_tokens: ClassVar[int] = SHORT_MAX_NEW_TOKENS
    headline: ClassVar[str] = "accuracy"
    official_groups: ClassVar[int] = 5_000

    kind: Literal["text_vqa"] = "text_vqa"
    annotation_file: Path = Field(description="TextVQA_0.5.1_val.json.")
    image_dir: Path = Field(description="Folder train_images of TextVQA's train_val_images.zip.")
    ocr_tokens: Literal["shown", "hidden"] = Field(
        "shown",
        description="Whether prompts hold what OCR read, as in LLaVA's protocol. Scores with and "
        "without are not comparable.",
    )
    question_file: Path | None = Field(
        None,
        description="LLaVA's llava_textvqa_val_v051_ocr.jsonl, which holds the OCR tokens; only "
        "where they are shown.",
    )

    @model_validator(mode="after")
    def _tokens_have_a_source(self) -> Self:
        if self.ocr_tokens == "shown" and self.question_file is None:
            raise ValueError(
                "question_file must be given where ocr_tokens are shown, got none; give LLaVA's "
                "llava_textvqa_val_v051_ocr.jsonl or hide them"
            )
        if self.ocr_tokens == "hidden" and self.question_file is not None:
            raise ValueError(
                f"question_file has no effect where ocr_tokens are hidden, got "
                f"{self.question_file}; leave it out"
            )
        return self

    @override
    def reported_settings(self) -> dict[str, str]:
        return {"ocr_tokens": self.ocr_tokens}

    @override
    def read_items(self) -> Iterator[Item]:
        file = row_of(str(self.annotation_file), read_json(self.annotation_file))
        annotations = by_key(file.rows("data"), lambda row: row.name("question_id"))
        prompts = None if self.question_file is None else _prompts(self.question_file)
        pictures = Folder.at(self.image_dir)
        for key, row in annotations.items():
            answers = row.texts("answers")
            if len(answers) != NUM_ANNOTATORS:
                raise row.refused(f"answers must be {NUM_ANNOTATORS}", len(answers))
            asked = (row.text("image_id"), row.text("question").lower())
            if prompts is not None and asked not in prompts:
                raise row.refused(f"its question must be in {self.question_file}", asked)
            yield Item(
                key=key,
                group=key,
                image=pictures.file(f"{asked[0]}.jpg", row.place),
                # As LLaVA's file and lmms-eval write it; the annotations have small letters.
                prompt=f"{row.text('question').capitalize()}\n{SHORT_ANSWER}"
                if prompts is None
                else prompts[asked],
                categories=(),
                gold=answers,
            )

    @override
    def judge(self, items: Sequence[Item], answers: Sequence[str]) -> Verdict:
        scores = tuple(
            agreement(answer, item.gold) for item, answer in zip(items, answers, strict=True)
        )
        return Verdict(
            item_scores=scores,
            metrics={"accuracy": mean(scores)},
            by_category=mean_by_category(items, scores),
        )


def agreement(answer: str, gold: Sequence[str]) -> float:
    """How far people agree with an answer: 0, 0.3, 0.6, 0.9, 1 if 0, 1, 2, 3, more of ten gave it.

    The mean, over leaving each of them out, of a third of the others who gave it, at most 1.
    """
    num_people = len(gold)
    said = processed(answer)
    num_agree = sum(processed(other) == said for other in gold)
    left_out_agrees = num_agree * min(1.0, (num_agree - 1) / 3)
    left_out_differs = (num_people - num_agree) * min(1.0, num_agree / 3)
    return (left_out_agrees + left_out_differs) / num_people


def _prompts(path: Path) -> dict[Asked, str]:
    """Prompts of LLaVA's question file; equal questions about a picture share one."""
    return {_asked(row): row.text("text") for row in read_jsonl(path)}


def _asked(row: Row) -> Asked:
    lines = row.text("text").split("\n")
    ocr_lines = [number for number, line in enumerate(lines) if line.startswith(OCR_LINE)]
    if not ocr_lines or len(lines) < 3:
        raise row.refused(
            f"text must be a question, a line {OCR_LINE!r} and how to answer",
            row.text("text"),
            "give LLaVA's llava_textvqa_val_v051_ocr.jsonl or hide ocr_tokens",
        )
    question = lines[1] if ocr_lines[0] == 0 else lines[0]
    return row.text("question_id"), question.lower()
