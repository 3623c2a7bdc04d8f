"""MMBench: a question counts only if all its rotations are right."""

import base64
from pathlib import Path

import pytest

from rankscope.models.benchmarks.option_letters import letter_in
from tests.unit.models.benchmarks.official_files import (
    MMBENCH_COLUMNS,
    base64_picture,
    mmbench,
    mmbench_rows,
    mmbench_table,
)

OPTIONS = ("red dog", "dog", "cat", "")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("(B).", "B"),
        ("answer:B", None),
        ("answer :B", "B"),
        ("The answer is C", "C"),
        ("E", "E"),
        # Two letters are none, unless only one of them stands in the same marks.
        ("B or C", None),
        ("B or (C)", "B"),
        ("B. or C. here", None),
        # An A in more than three words may be an article; with a mark it counts.
        ("A dog", "A"),
        ("this is A bird", None),
        ("this is a bird A.", "A"),
        ("A dog and A.", "A"),
        # The text of one option alone.
        ("a CAT it is", "C"),
        ("a dog", "B"),
        ("the red dog", None),
        ("b", None),
        ("", None),
        ("Failed to obtain answer via API B", None),
    ],
)
def test_the_option_of_an_answer(answer: str, letter: str | None) -> None:
    assert letter_in(answer, OPTIONS) == letter


def test_prompts_hold_hint_question_and_options_up_to_the_first_that_is_missing(
    tmp_path: Path,
) -> None:
    first, second, *_ = mmbench(tmp_path).items()
    assert first.prompt == (
        "look\nWhich?\nA. oak\nB. elm\nC. ash\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert second.prompt.startswith("Open?\nA. yes\nB. no\nAnswer")
    assert (first.key, first.group, first.options) == ("3", "3", ("oak", "elm", "ash", ""))
    assert first.categories == ("nature", "all perception")


def test_an_option_of_the_word_none_ends_the_prompts_list_as_in_the_protocol(
    tmp_path: Path,
) -> None:
    row = ["3", "Which?", "nan", "oak", "NONE", "ash", "", "A", "x", base64_picture()]
    (item,) = mmbench_table(tmp_path, [[*row, "src", "y", "", "dev"]]).items()
    assert item.prompt.startswith("Which?\nA. oak\nAnswer")
    assert item.options == ("oak", "NONE", "ash", "")


def test_golden_scores(tmp_path: Path) -> None:
    """Question 3: its three rows right. Question 8: the first row right, its rotation wrong.

    Circular 1 of 2, vanilla 2 of 2; rows 4 of 5.
    """
    benchmark = mmbench(tmp_path)
    score = benchmark.score(
        {"3": "B", "1000003": "C. elm", "2000003": "it is elm", "8": "A", "1000008": "A"}
    )
    assert [item.key for item in benchmark.items()] == ["3", "8", "1000003", "1000008", "2000003"]
    assert list(score.item_scores) == [1, 1, 1, 0, 1]
    assert list(score.group_scores) == [1, 0]
    assert score.metrics == {"circular_accuracy": 0.5, "vanilla_accuracy": 1.0}
    assert (score.headline, score.value) == ("circular_accuracy", 0.5)
    assert score.by_category == {
        "all perception": {"accuracy": 0.5, "items": 2},
        "nature": {"accuracy": 1.0, "items": 1},
        "state": {"accuracy": 0.0, "items": 1},
    }


def test_categories_are_right_when_rotations_come_first(tmp_path: Path) -> None:
    benchmark = mmbench_table(tmp_path, mmbench_rows()[::-1])
    score = benchmark.score({"3": "B", "1000003": "C", "2000003": "A", "8": "A", "1000008": "A"})
    assert score.by_category["nature"]["accuracy"] == 1
    assert score.by_category["state"]["accuracy"] == 0


def test_unclear_answers_and_missing_rotations_are_noted(tmp_path: Path) -> None:
    benchmark = mmbench_table(tmp_path, mmbench_rows()[:3])
    score = benchmark.score({"3": "B", "8": "perhaps", "1000003": "C"})
    assert "1 answers name no single option and count as wrong" in score.notes
    assert any(
        note.startswith("2 questions have fewer rotations than options") for note in score.notes
    )


def test_rotations_share_their_picture_and_may_give_it_by_index(tmp_path: Path) -> None:
    rows = mmbench_rows()
    place = MMBENCH_COLUMNS.index("image")
    rows[2][place] = "3"
    first, second, third, _, fifth = mmbench_table(tmp_path, rows).items()
    assert first.image is third.image is fifth.image
    assert first.image == base64.b64decode(base64_picture(1))
    assert second.image != first.image


@pytest.mark.parametrize(
    ("column", "cell", "refusal"),
    [
        ("index", "x", r"row 2 \(index x\): index must be a whole number"),
        ("index", "3", r"row 2 \(index 3\): indices must differ, and .* row 1"),
        ("index", "2000009", r"row 2 .* got one of 9, which is missing; it may be cut off"),
        ("answer", "D", r"row 2 \(index 8\): answer must be the letter of an option, got 'D'"),
        ("answer", "", r"row 2 \(index 8\): answer must be text, got None"),
        ("question", "", r"row 2 \(index 8\): question must be text"),
        ("image", "!!!notbase64", r"row 2 \(index 8\): the picture must be base64"),
        ("image", "abc", r"row 2 \(index 8\): the picture must be base64"),
        ("image", "77", r"row 2 \(index 8\): image must be base64 or the index of an earlier row"),
        ("image", "é", r"row 2 \(index 8\): the picture must be base64"),
    ],
)
def test_a_broken_cell_is_refused_with_its_row(
    tmp_path: Path, column: str, cell: str, refusal: str
) -> None:
    rows = mmbench_rows()[:2]
    rows[1][MMBENCH_COLUMNS.index(column)] = cell
    with pytest.raises(ValueError, match=refusal):
        mmbench_table(tmp_path, rows).items()


def test_a_table_without_answers_is_refused(tmp_path: Path) -> None:
    """As that of the test part."""
    place = MMBENCH_COLUMNS.index("answer")
    rows = [[*row[:place], *row[place + 1 :]] for row in mmbench_rows()]
    columns = [name for name in MMBENCH_COLUMNS if name != "answer"]
    with pytest.raises(ValueError, match="must have the columns answer, got only index, question"):
        mmbench_table(tmp_path, rows, columns).items()


def test_a_row_with_too_many_cells_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    benchmark = mmbench_table(tmp_path, [[*mmbench_rows()[0]], [*mmbench_rows()[1], "more"]])
    with pytest.raises(ValueError, match=r"must be a UTF-8 table with tabs .*line 3, saw 15"):
        benchmark.items()
    benchmark.table_file.write_text("", "utf-8")
    with pytest.raises(ValueError, match="must be a UTF-8 table with tabs"):
        benchmark.items()


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="benchmark mmbench: its files must hold questions"):
        mmbench_table(tmp_path, []).items()
