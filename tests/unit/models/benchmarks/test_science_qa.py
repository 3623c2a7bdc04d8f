"""ScienceQA: letters by the official rule, questions with a picture apart."""

from pathlib import Path

import pytest

from rankscope.models.benchmarks.science_qa import letter_in
from tests.unit.models.benchmarks.official_files import science_qa, whole_json


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", None),
        ("B. gold", "B"),
        ("B.", None),
        ("B.gold", None),
        ("F. other", None),
        ("The answer is C.", "C"),
        ("So: The answer is C, surely", "C"),
        # The pattern asks for one more character, which no line break is.
        ("The answer is C", None),
        ("The answer is C\n", None),
        ("The answer is A. The answer is B.", None),
        ("The answer is Z.", "Z"),
        ("", None),
    ],
)
def test_the_letter_of_an_answer(answer: str, letter: str | None) -> None:
    assert letter_in(answer) == letter


def test_the_placeholder_is_taken_out_and_options_and_suffix_stay(tmp_path: Path) -> None:
    first, _, third = science_qa(tmp_path).items()
    assert first.prompt == (
        "Which is it?\nA. iron\nB. gold\nC. salt\nD. ice\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert first.image == tmp_path / "test" / "5" / "image.png"
    assert third.image is None
    assert third.gold == ("C",)


def test_golden_scores(tmp_path: Path) -> None:
    """With a picture: B right, C beyond the two choices, so 1 of 2; without: right. 2 of 3."""
    score = science_qa(tmp_path).score({"5": "B. gold", "7": "C", "9": "The answer is C."})
    assert list(score.item_scores) == [1, 0, 1]
    assert score.metrics == {
        "image_accuracy": 0.5,
        "text_accuracy": 1.0,
        "accuracy": pytest.approx(2 / 3),
    }
    assert score.value == 0.5
    assert score.by_category["natural science"] == {"accuracy": 0.5, "items": 2}
    assert score.by_category["text alone"] == {"accuracy": 1.0, "items": 1}


def test_answers_without_a_letter_are_noted(tmp_path: Path) -> None:
    score = science_qa(tmp_path).score({"5": "gold", "7": "A", "9": "it is C"})
    assert "2 answers name no letter and count as wrong" in score.notes
    assert list(score.item_scores) == [0, 1, 0]


def test_a_question_of_another_part_is_refused(tmp_path: Path) -> None:
    benchmark = science_qa(tmp_path)
    whole_json(benchmark.split_file, {"test": ["5", "7"]})
    with pytest.raises(ValueError, match=r"CQM-A.json row 3: id must be in the test part of"):
        benchmark.items()


def test_a_right_answer_beyond_the_choices_is_refused(tmp_path: Path) -> None:
    benchmark = science_qa(tmp_path)
    text = benchmark.problem_file.read_text("utf-8")
    benchmark.problem_file.write_text(text.replace('"answer": 1', '"answer": 4'), "utf-8")
    with pytest.raises(ValueError, match=r"problems.json, 5: answer must count .* got '4 of 4'"):
        benchmark.items()


def test_a_question_without_words_is_refused(tmp_path: Path) -> None:
    benchmark = science_qa(tmp_path)
    whole_json(benchmark.question_file, [{"id": "5", "conversations": []}])
    with pytest.raises(ValueError, match="row 1: conversations must begin with the question"):
        benchmark.items()
