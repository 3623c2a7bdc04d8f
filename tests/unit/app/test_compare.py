"""``rankscope compare`` in its five formats, on runs whose result is known."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.app.past_runs import PastRuns

Call = Callable[..., tuple[int, str, str]]
PAIRED = "10.0 [10.0, 10.0]"
"""Static gets one item of ten more in both seeds, so the difference has no spread."""


def test_json_holds_every_table(answer_of: Callable[..., Any], past_runs: PastRuns) -> None:
    """Uniform 0.6 and 0.8: mean 0.7; static 0.7 and 0.9: mean 0.8; two seeds of ten items."""
    answer = answer_of("compare", *past_runs.uniform, *past_runs.static, "--format", "json")
    assert answer["baseline"] == "uniform"
    uniform, static = answer["rows"]
    assert (uniform["configuration"], uniform["runs"]) == ("uniform", list(past_runs.uniform))
    assert (uniform["accuracy"], static["accuracy"]) == pytest.approx((0.7, 0.8))
    assert (static["num_seeds"], static["num_items"], static["budget_params"]) == (2, 10, 32)
    (pair,) = answer["paired"]
    assert (pair["configuration"], pair["num_seeds"]) == ("static", 2)
    assert (pair["difference"], pair["low"], pair["high"]) == pytest.approx((0.1, 0.1, 0.1))
    assert answer["differences"]["scheduler.kind"] == {"uniform": "uniform", "static": "static"}
    assert answer["warnings"] == []


def test_csv_reads_back_as_a_table(call: Call, past_runs: PastRuns) -> None:
    code, said, _ = call("compare", *past_runs.uniform, *past_runs.static, "--format", "csv")
    assert code == 0
    uniform, static = csv.DictReader(io.StringIO(said))
    assert (uniform["configuration"], uniform["vs baseline (points)"]) == ("uniform", "baseline")
    assert (static["configuration"], static["vs baseline (points)"]) == ("static", PAIRED)
    assert (static["seeds"], static["items"], static["budget"]) == ("2", "10", "32")
    assert static["accuracy (%)"].startswith("80.0 [")


def test_markdown_has_a_header_a_rule_and_equal_columns(call: Call, past_runs: PastRuns) -> None:
    _, said, _ = call("compare", *past_runs.uniform, *past_runs.static, "--format", "md")
    header, rule, *rows = said.splitlines()
    assert header.startswith("| configuration | seeds | items | accuracy (%) |")
    assert set(rule) == set("| -")
    assert [row.split(" | ")[0] for row in rows] == ["| uniform", "| static"]
    assert {line.count("|") for line in (header, rule, *rows)} == {9}


def test_latex_escapes_what_it_must(call: Call, past_runs: PastRuns) -> None:
    _, said, _ = call("compare", *past_runs.uniform, *past_runs.static, "--format", "latex")
    lines = said.splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrrr}"
    assert lines[-1] == r"\end{tabular}"
    assert r"accuracy (\%)" in said
    body = [line for line in lines if line.endswith(r"\\")]
    assert [line.split(" & ")[0] for line in body] == ["configuration", "uniform", "static"]
    assert all(line.count(" & ") == 7 for line in body)


def test_the_table_names_the_baseline_and_what_differs(call: Call, past_runs: PastRuns) -> None:
    _, said, _ = call("compare", *past_runs.uniform, *past_runs.static)
    assert "95 % intervals; baseline uniform" in said
    assert "What differs" in said
    assert "scheduler.kind" in said


def test_another_baseline_turns_the_difference_round(call: Call, past_runs: PastRuns) -> None:
    runs = (*past_runs.uniform, *past_runs.static)
    _, said, _ = call("compare", *runs, "--baseline", past_runs.static[1], "--format", "csv")
    uniform, static = csv.DictReader(io.StringIO(said))
    assert static["vs baseline (points)"] == "baseline"
    assert uniform["vs baseline (points)"] == "-10.0 [-10.0, -10.0]"


def test_one_seed_is_paired_over_items(call: Call, past_runs: PastRuns) -> None:
    """One of ten items answered better: 10.0 points with an interval of some width."""
    runs = (past_runs.uniform[0], past_runs.static[0])
    _, said, _ = call("compare", *runs, "--format", "csv")
    _, static = csv.DictReader(io.StringIO(said))
    assert static["vs baseline (points)"].startswith("10.0 [")
    assert static["vs baseline (points)"] != PAIRED


def test_a_baseline_outside_the_comparison_is_refused(call: Call, past_runs: PastRuns) -> None:
    code, _, complained = call("compare", *past_runs.uniform, "--baseline", past_runs.static[0])
    assert code == 2
    assert "the baseline must be one of the runs" in complained
