"""TextVQA: agreement with ten people, with what OCR read or without."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from rankscope.models.benchmarks import TextVqa
from rankscope.models.benchmarks.text_vqa import agreement
from tests.unit.models.benchmarks.official_files import text_vqa


@pytest.mark.parametrize(
    ("num_agree", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)]
)
def test_agreement_with_ten_people(num_agree: int, expected: float) -> None:
    """Two of ten: leaving one of the two out leaves 1/3, else 2/3: (2/3 + 8 * 2/3) / 10 = 0.6."""
    gold = ["red"] * num_agree + [f"blue {i}" for i in range(10 - num_agree)]
    assert agreement("Red.", gold) == pytest.approx(expected)


def test_golden_scores(tmp_path: Path) -> None:
    """All ten said dakota: 1. Two of ten said 12 ("12", "the 12"; "Twelve" stays a word): 0.6.

    The mean is 0.8.
    """
    score = text_vqa(tmp_path).score({"34602": "Dakota", "34603": "12"})
    assert score.item_scores == pytest.approx((1.0, 0.6))
    assert score.value == pytest.approx(0.8)
    assert score.settings == {"ocr_tokens": "shown"}


def test_the_comma_and_the_full_stop_of_2012_make_no_difference(tmp_path: Path) -> None:
    """Five said 2012, one of them as "2,012."."""
    score = text_vqa(tmp_path).score({"34602": "", "34603": "2012."})
    assert score.item_scores == (0.0, 1.0)


def test_prompts_hold_what_ocr_read(tmp_path: Path) -> None:
    assert text_vqa(tmp_path).items()[0].prompt == (
        "What is the brand of this camera?\nReference OCR token: DAKOTA, DIGITAL\n"
        "Answer the question using a single word or phrase."
    )


def test_prompts_without_ocr_need_no_question_file_and_the_score_says_so(tmp_path: Path) -> None:
    benchmark = text_vqa(tmp_path, shown=False)
    assert benchmark.items()[0].prompt == (
        "What is the brand of this camera?\nAnswer the question using a single word or phrase."
    )
    score = benchmark.score({"34602": "dakota", "34603": "x"})
    assert score.settings == {"ocr_tokens": "hidden"}


def test_ocr_tokens_and_the_file_that_holds_them_come_together(tmp_path: Path) -> None:
    paths = {"annotation_file": tmp_path / "a", "image_dir": tmp_path}
    with pytest.raises(ValidationError, match="question_file must be given where ocr_tokens are"):
        TextVqa(**paths)
    with pytest.raises(ValidationError, match="question_file has no effect where ocr_tokens are"):
        TextVqa(**paths, ocr_tokens="hidden", question_file=tmp_path / "q")


def test_a_question_of_two_lines_after_the_tokens_is_found(tmp_path: Path) -> None:
    """Some files put the tokens first."""
    benchmark = text_vqa(tmp_path)
    assert benchmark.question_file is not None
    text = benchmark.question_file.read_text("utf-8")
    line = "What year is it?\\nReference OCR token: DAKOTA, DIGITAL"
    turned = "Reference OCR token: DAKOTA, DIGITAL\\nWhat year is it?"
    assert line in text
    benchmark.question_file.write_text(text.replace(line, turned), "utf-8")
    assert benchmark.items()[1].prompt.startswith("Reference OCR token: DAKOTA")


def test_a_question_file_without_tokens_is_refused(tmp_path: Path) -> None:
    benchmark = text_vqa(tmp_path)
    assert benchmark.question_file is not None
    text = benchmark.question_file.read_text("utf-8")
    benchmark.question_file.write_text(text.replace("Reference OCR token", "Tokens"), "utf-8")
    with pytest.raises(ValueError, match=r"ocr.jsonl line 1: text must be a question, a line"):
        benchmark.items()


def test_a_question_file_of_other_questions_is_refused(tmp_path: Path) -> None:
    benchmark = text_vqa(tmp_path)
    assert benchmark.question_file is not None
    text = benchmark.question_file.read_text("utf-8")
    benchmark.question_file.write_text(text.replace("year", "month"), "utf-8")
    with pytest.raises(ValueError, match=r"0.5.1_val.json, data 2: its question must be in"):
        benchmark.items()


def test_annotations_without_ten_answers_are_refused(tmp_path: Path) -> None:
    """As those of the test part, which has none."""
    benchmark = text_vqa(tmp_path)
    text = benchmark.annotation_file.read_text("utf-8")
    benchmark.annotation_file.write_text(text.replace('"dakota", ', "", 1), "utf-8")
    with pytest.raises(ValueError, match=r"data 1: answers must be 10, got 9"):
        benchmark.items()
    benchmark.annotation_file.write_text(text.replace('"answers"', '"answer"'), "utf-8")
    with pytest.raises(ValueError, match=r"data 1: must have answers"):
        benchmark.items()
