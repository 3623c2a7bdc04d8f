"""POPE: yes or no by the official rule, rates by category, labels by what is asked."""

from pathlib import Path

import pytest

from rankscope.models.benchmarks.pope import rates, yes_or_no
from tests.unit.models.benchmarks.official_files import pope


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes", "yes"),
        ("No", "no"),
        ("no", "no"),
        ("No, there is none", "no"),
        ("There is not", "no"),
        ("Yes. There is no dog", "yes"),
        ("NO", "yes"),
        ("None", "yes"),
        ("There isn't", "yes"),
        ("no\n", "yes"),
        ("", "yes"),
    ],
)
def test_what_an_answer_says(answer: str, said: str) -> None:
    assert yes_or_no(answer) == said


def test_rates_of_nothing_and_of_no_yes_at_all_are_zero() -> None:
    assert set(rates([]).values()) == {0}
    found = rates([("no", "no"), ("no", "no")])
    assert found == {
        "accuracy": 1.0,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "yes_ratio": 0.0,
    }


def test_golden_scores(tmp_path: Path) -> None:
    """Adversarial labels y n y n, answers y y n n: one of each kind, so every rate is 1/2.

    Random y n, answers y n: all right, F1 1. Popular n n, answers y n: precision 0, F1 0.
    Mean F1 = (1/2 + 1 + 0) / 3 = 1/2. Of 8 answers 4 say yes and 5 are right; true yes 2, false
    yes 2, missed 1: precision 1/2, recall 2/3, F1 4/7.
    """
    benchmark = pope(tmp_path)
    words = ["Yes", "Yes", "No", "No", "Yes", "No", "Yes", "No"]
    answers = dict(zip([item.key for item in benchmark.items()], words, strict=True))
    score = benchmark.score(answers)
    assert score.by_category["adversarial"] == {
        **dict.fromkeys(("accuracy", "precision", "recall", "f1", "yes_ratio"), 0.5),
        "items": 4,
    }
    assert score.by_category["popular"]["f1"] == 0
    assert score.headline == "mean_f1"
    assert score.value == pytest.approx(0.5)
    assert score.metrics == pytest.approx(
        {
            "mean_f1": 0.5,
            "accuracy": 5 / 8,
            "precision": 0.5,
            "recall": 2 / 3,
            "f1": 4 / 7,
            "yes_ratio": 0.5,
        }
    )
    assert list(score.item_scores) == [1, 0, 0, 1, 1, 1, 0, 1]
    assert score.intervals.keys() == score.metrics.keys() - {"accuracy"}
    assert all(low <= score.metrics[name] <= high for name, (low, high) in score.intervals.items())


def test_the_yes_ratio_is_that_of_the_answers(tmp_path: Path) -> None:
    benchmark = pope(tmp_path)
    score = benchmark.score({item.key: "Yes" for item in benchmark.items()})
    assert score.metrics["yes_ratio"] == 1
    assert score.by_category["random"]["yes_ratio"] == 1


def test_answers_that_say_neither_are_noted(tmp_path: Path) -> None:
    benchmark = pope(tmp_path)
    score = benchmark.score({item.key: "maybe" for item in benchmark.items()})
    assert "8 answers say neither yes nor no and count as yes" in score.notes


def test_labels_are_found_by_category_picture_and_question_not_by_order(tmp_path: Path) -> None:
    benchmark = pope(tmp_path)
    expected = {item.key: item.gold for item in benchmark.items()}
    file = benchmark.label_dir / "coco_pope_adversarial.json"
    lines = file.read_text("utf-8").splitlines()
    # Newer label files spell the word right, older ones and LLaVA's do not everywhere.
    text = "\n".join(reversed(lines)).replace("dog in the image", "dog in the imange")
    file.write_text(text, "utf-8")
    assert {item.key: item.gold for item in benchmark.items()} == expected


def test_a_category_that_is_absent_is_noted(tmp_path: Path) -> None:
    benchmark = pope(tmp_path)
    lines = benchmark.question_file.read_text("utf-8").splitlines()
    left = "\n".join(line for line in lines if "popular" not in line)
    benchmark.question_file.write_text(left, "utf-8")
    score = benchmark.score({item.key: item.gold[0] for item in benchmark.items()})
    assert "no questions of popular; mean_f1 is that of the others" in score.notes
    assert score.value == 1


def test_labels_of_another_version_are_refused(tmp_path: Path) -> None:
    benchmark = pope(tmp_path)
    file = benchmark.label_dir / "coco_pope_random.json"
    file.write_text(file.read_text("utf-8").replace("COCO_1", "COCO_2"), "utf-8")
    with pytest.raises(
        ValueError, match=r"test.jsonl line 5: the question must have a label in .*e3e39262"
    ):
        benchmark.items()


@pytest.mark.parametrize(
    ("name", "old", "new", "refusal"),
    [
        ("coco/coco_pope_random.json", '"yes"', '"si"', r"line 1: label must be yes or no, got"),
        ("llava_pope_test.jsonl", "popular", "famous", r"line 7: category must be one of"),
    ],
)
def test_unknown_labels_and_categories_are_refused(
    tmp_path: Path, name: str, old: str, new: str, refusal: str
) -> None:
    benchmark = pope(tmp_path)
    file = tmp_path / name
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=refusal):
        benchmark.items()
