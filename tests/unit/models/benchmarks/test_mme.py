"""MME: points of questions and of pictures, perception and cognition."""

from pathlib import Path

import pytest

from rankscope.models.benchmarks.mme import label_in
from tests.unit.models.benchmarks.official_files import mme


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Yes", "yes"),
        ("No.", "no"),
        ("NOTHING", "no"),
        ("a no", "no"),
        ("I say yes", "other"),
        ("yes, no", "yes"),
        ("noyes", "no"),
        ("y", "other"),
        ("", "other"),
    ],
)
def test_what_an_answer_says(answer: str, label: str) -> None:
    assert label_in(answer) == label


def test_questions_find_their_answers_in_both_kinds_of_folder(tmp_path: Path) -> None:
    items = {item.key: item for item in mme(tmp_path).items()}
    assert items["existence/0001.jpg#1"].gold == ("yes",)
    assert items["existence/0001.jpg#2"].gold == ("no",)
    artwork = items["artwork/images/0001.jpg#2"]
    assert (artwork.gold, artwork.categories) == (("no",), ("artwork",))
    assert artwork.prompt == "Is it blue?\nAnswer the question using a single word or phrase."


def test_golden_scores(tmp_path: Path) -> None:
    """Yes to everything: one question of two and no picture right, 50 points a task.

    But in color both are right (200 points) and in OCR none (0): 8 * 50 + 200 = 600 of perception,
    4 * 50 of cognition.
    """
    benchmark = mme(tmp_path)
    answers = {item.key: "Yes" for item in benchmark.items()}
    answers |= {"color/0001.jpg#2": "no, it is not", "OCR/0001.jpg#1": "y"}
    score = benchmark.score(answers)
    assert score.metrics == {"perception": 600, "cognition": 200, "total": 800}
    assert (score.headline, score.value, score.best) == ("perception", 600, 2000)
    assert score.by_category["color"] == {
        "score": 200,
        "accuracy_percent": 100,
        "accuracy_plus_percent": 100,
        "items": 2,
    }
    assert score.by_category["OCR"]["score"] == 0
    assert score.by_category["scene"]["score"] == 50
    assert sum(score.group_scores) == 1
    assert score.intervals == {}  # the one picture of a task is always drawn again
    assert "1 answers begin with neither yes nor no and are wrong" in score.notes


def test_tasks_that_are_absent_are_noted(tmp_path: Path) -> None:
    benchmark = mme(tmp_path)
    lines = benchmark.question_file.read_text("utf-8").splitlines()
    kept = "\n".join(line for line in lines if '"count' not in line)
    benchmark.question_file.write_text(kept, "utf-8")
    score = benchmark.score({item.key: item.gold[0] for item in benchmark.items()})
    assert score.value == 1800
    assert "no questions of count; sums lack up to 200 points of each" in score.notes


@pytest.mark.parametrize(
    ("name", "old", "new", "refusal"),
    [
        (
            "llava_mme.jsonl",
            "existence/",
            "presence/",
            "line 1: question_id must begin with a task",
        ),
        ("llava_mme.jsonl", "Is it red", "Is it mud", "line 1: the question must be in MME's text"),
        (
            "MME_Benchmark_release_version/count/0001.txt",
            "\tYes",
            "\tMaybe",
            "0001.txt line 1: must be a question, a tab and Yes or No",
        ),
        (
            "MME_Benchmark_release_version/count/0001.txt",
            "\tYes",
            " Yes",
            "0001.txt line 1: must be a question, a tab and Yes or No",
        ),
    ],
)
def test_files_of_another_version_are_refused(
    tmp_path: Path, name: str, old: str, new: str, refusal: str
) -> None:
    benchmark = mme(tmp_path)
    file = tmp_path / name
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=refusal):
        benchmark.items()


def test_a_picture_with_one_question_is_refused(tmp_path: Path) -> None:
    benchmark = mme(tmp_path)
    lines = benchmark.question_file.read_text("utf-8").splitlines()
    benchmark.question_file.write_text("\n".join(lines[1:]), "utf-8")
    with pytest.raises(ValueError, match="a picture must have 2 questions, got '1 about existence"):
        benchmark.items()


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    benchmark = mme(tmp_path)
    (benchmark.data_dir / "artwork" / "questions_answers_YN" / "0001.txt").unlink()
    with pytest.raises(
        ValueError,
        match=r"line 17: .* must exist, got 'artwork/questions_answers_YN/0001.txt'",
    ):
        benchmark.items()
