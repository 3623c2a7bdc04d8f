"""GQA: exact match after small letters and without a full stop at the end."""

from pathlib import Path

import pytest

from rankscope.models.benchmarks.gqa import normalized
from tests.unit.models.benchmarks.official_files import gqa, whole_json


def test_the_prompt_is_that_of_llavas_file(tmp_path: Path) -> None:
    first = gqa(tmp_path).items()[0]
    assert first.prompt == (
        "What color is the cap?\nAnswer the question using a single word or phrase."
    )
    assert first.image == tmp_path / "images" / "n1.jpg"
    assert first.categories == ("query", "about attr")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("Red", "red"), ("red...", "red"), ("red. ", "red. "), ("t.v.", "t.v"), (" red", " red")],
)
def test_only_full_stops_at_the_end_and_case_make_no_difference(answer: str, expected: str) -> None:
    assert normalized(answer) == expected


def test_golden_scores(tmp_path: Path) -> None:
    """Right, right, wrong, wrong (a space): 2 of 4; of open ones the first of two; of others one.

    By type: query 1 of 2, verify 1 of 1, choose 0 of 1.
    """
    score = gqa(tmp_path).score({"201": "Red.", "202": "No", "203": "a man", "204": "dog "})
    assert list(score.item_scores) == list(score.group_scores) == [1, 1, 0, 0]
    assert score.metrics == {"accuracy": 0.5, "open": 0.5, "binary": 0.5}
    assert (score.headline, score.value) == ("accuracy", 0.5)
    assert score.by_category["query"] == {"accuracy": 0.5, "items": 2}
    assert score.by_category["choose"] == {"accuracy": 0.0, "items": 1}
    assert score.by_category["about global"] == {"accuracy": 1.0, "items": 1}


def test_a_question_that_is_not_annotated_is_refused(tmp_path: Path) -> None:
    benchmark = gqa(tmp_path)
    whole_json(benchmark.annotation_file, {})
    with pytest.raises(
        ValueError, match=r"balanced.jsonl line 1: question_id must be annotated in .* got '201'"
    ):
        benchmark.items()


def test_annotations_of_another_version_are_refused(tmp_path: Path) -> None:
    benchmark = gqa(tmp_path)
    whole_json(benchmark.annotation_file, {"201": {"answer": "red"}})
    with pytest.raises(ValueError, match=r"questions.json, 201: must have types, got only answer"):
        benchmark.items()
    whole_json(benchmark.annotation_file, ["201"])
    with pytest.raises(ValueError, match=r"questions.json: must be a JSON object"):
        benchmark.items()


def test_a_question_that_comes_twice_is_refused(tmp_path: Path) -> None:
    benchmark = gqa(tmp_path)
    text = benchmark.question_file.read_text("utf-8")
    benchmark.question_file.write_text(text + text.splitlines()[0] + "\n", "utf-8")
    with pytest.raises(ValueError, match=r"line 5: ids must differ, and .* line 1 has .* '201'"):
        benchmark.items()


def test_pictures_outside_the_folder_are_refused(tmp_path: Path) -> None:
    rule = "line 1: a path must be relative and stay below its folder"
    for name in ("../n1.jpg", "/etc/passwd", "a/../../n1.jpg", "n1\\u0000.jpg"):
        benchmark = gqa(tmp_path)
        text = benchmark.question_file.read_text("utf-8")
        benchmark.question_file.write_text(text.replace("n1.jpg", name), "utf-8")
        with pytest.raises(ValueError, match=rule):
            benchmark.items()


def test_the_folder_of_pictures_may_be_a_link_itself(tmp_path: Path) -> None:
    benchmark = gqa(tmp_path)
    (tmp_path / "link").symlink_to(benchmark.image_dir)
    linked = benchmark.model_copy(update={"image_dir": tmp_path / "link"})
    assert linked.items() == benchmark.items()
