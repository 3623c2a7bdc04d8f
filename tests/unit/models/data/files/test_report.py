"""What is in a data set, for people."""

import json
from pathlib import Path

import pytest

from rankscope.models.data.files.report import Quantiles, Report, inspect
from tests.unit.models.data.files.made import asked, opened, photo, put, put_json


@pytest.fixture
def report(tmp_path: Path) -> Report:
    put(tmp_path, "a.png", photo(size=(40, 30)))
    put(tmp_path, "b.png", photo(size=(80, 20)))
    put(tmp_path, "copy.png", photo(size=(40, 30)))
    put(tmp_path, "cut.jpg", photo(size=(64, 64), kind="JPEG")[:-200])
    names = ("a.png", "b.png", "copy.png", "cut.jpg", "no.png", "none.png")
    rows = [asked("<image>?", "Red.", image=name) for name in names]
    put_json(tmp_path, "rows.json", [*rows, asked("Hello.", "Hi."), asked("Never", "read.")])
    split = {"probe_fraction": 0, "validation_fraction": 0, "test_fraction": 0}
    return inspect(opened(tmp_path, "rows.json", split=split), limit=7)


def test_a_report_counts_rows_turns_and_pictures(report: Report) -> None:
    assert (report.name, report.format) == ("rows.json", "llava")
    assert (report.num_rows, report.is_whole) == (7, False)
    assert (report.num_good, report.num_broken, report.num_text_only) == (4, 3, 1)
    assert (report.num_pictures, report.num_different_pictures) == (3, 2)
    assert report.rows_by_part == {"train": 4}
    assert report.turns == Quantiles(least=2, p5=2, median=2, p95=2, most=2)


def test_quantiles_are_numbers_that_occur() -> None:
    """Of 1 to 20: the 1st is not below 5 %, the 10th not below half, the 19th not below 95 %."""
    assert Quantiles.of(range(20, 0, -1)) == Quantiles(least=1, p5=1, median=10, p95=19, most=20)
    assert Quantiles.of([]) is None


def test_a_report_tells_upright_sizes_and_lengths(report: Report) -> None:
    """Widths 40, 80, 40; heights 30, 20, 30; characters 8 + 4 three times, then 6 + 3."""
    assert report.picture_width_px == Quantiles(least=40, p5=40, median=40, p95=80, most=80)
    assert report.picture_height_px == Quantiles(least=20, p5=20, median=30, p95=30, most=30)
    assert report.text_chars == Quantiles(least=9, p5=9, median=12, p95=12, most=12)


def test_broken_rows_are_counted_by_rule_and_the_first_are_shown(report: Report) -> None:
    assert list(report.broken_by_rule.values()) == [2, 1]
    assert next(iter(report.broken_by_rule)) == "a file that data name must exist"
    assert [(row.file, row.row) for row in report.first_broken] == [
        ("rows.json", 4),
        ("rows.json", 5),
        ("rows.json", 6),
    ]
    assert report.first_broken[0].value.startswith("cut.jpg: ")


def test_a_report_is_text_and_json(report: Report) -> None:
    text = report.as_text()
    assert text.startswith(
        "rows.json: llava, the first 7 rows read\ngood 4, broken 3, text only 1\n"
    )
    assert "picture width in px: 40 to 80, median 40, 5 % up to 40, 95 % up to 80\n" in text
    assert "2 times broken: a file that data name must exist\n" in text
    assert "rows.json row 5: a file that data name must exist, got 'no.png'; put it into" in text
    assert Report.model_validate(json.loads(report.model_dump_json())) == report


def test_a_report_of_all_rows_says_so(tmp_path: Path) -> None:
    put_json(tmp_path, "rows.json", [asked("Hello.", "Hi.")])
    report = inspect(opened(tmp_path, "rows.json"), limit=1)
    assert (report.is_whole, report.picture_width_px) == (True, None)
    assert "picture width" not in report.as_text()


def test_one_rule_does_not_crowd_out_the_others(tmp_path: Path) -> None:
    rows: list[object] = [asked("Hello.", "Hi."), *[3] * 100, asked("<image>", "No.")]
    put_json(tmp_path, "rows.json", rows)
    report = inspect(opened(tmp_path, "rows.json"))
    assert [row.row for row in report.first_broken] == [2, 3, 4, 5, 6, 102]
    assert list(report.broken_by_rule.values()) == [100, 1]
