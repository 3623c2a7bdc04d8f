"""The document is what the committed results say, and text by hand stays as it is."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.science.presets import RESULTS
from benchmarks.science.protocol import ProtocolError, read_protocol
from benchmarks.science.rendering import COMMAND, differing, filled, render
from benchmarks.science.sections import section_of
from tests.unit.benchmarks.protocols import comparison, protocol, tuned

COMMITTED = sorted(RESULTS.glob("science-*.json"))
DOCUMENT = (
    "By hand.\n<!-- begin generated: standard -->\nold\n<!-- end generated: standard -->\nToo.\n"
)


def test_the_document_holds_what_the_committed_results_say() -> None:
    names = [path.name for path in differing()]
    assert not names, f"{', '.join(names)} differ from benchmarks/results; run: {COMMAND}"


def test_committed_results_have_the_promised_shape() -> None:
    for path in COMMITTED:
        answer = json.loads(path.read_text(encoding="utf-8"))
        assert path.stem == f"science-{answer['preset']}"
        assert answer["preset"] in read_protocol()[0].presets
        assert isinstance(answer["tasks"], dict)
        assert answer["budget_violations"] == 0
        if {"hydra", "uniform"} <= answer.get("arms", {}).keys():
            hydra = answer["arms"]["hydra"]
            assert isinstance(hydra["relative_gain_vs_uniform"], float)
            assert len(hydra["ci95"]) == 2
            assert isinstance(hydra["vs_uniform"], float)


def test_text_outside_the_markers_stays(tmp_path: Path) -> None:
    section = section_of(protocol(), comparison(tmp_path))
    text = filled(DOCUMENT, protocol(), {"standard": comparison(tmp_path)})
    assert text == DOCUMENT.replace("old", section)
    assert filled(text, protocol(), {"standard": comparison(tmp_path)}) == text
    assert filled(text, protocol(), {}) == DOCUMENT.replace("old\n", "")


def test_a_result_without_markers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="markers for every result, quick lacks them"):
        filled(DOCUMENT, protocol(), {"quick": comparison(tmp_path, "quick")})


def test_rendering_writes_document_and_figures_and_takes_stale_ones_away(tmp_path: Path) -> None:
    document = tmp_path / "docs" / "results.md"
    stale = document.parent / "images" / "science-gone-gain.svg"
    stale.parent.mkdir(parents=True)
    stale.touch()
    document.write_text(DOCUMENT, encoding="utf-8")
    results = tmp_path / "results"
    results.mkdir()
    result = comparison(tmp_path)
    shutil.move(tmp_path / "science-standard.json", results)
    changed = {path.name for path in render(document, results)}
    gain, tasks = "science-standard-gain.svg", "science-standard-tasks.svg"
    assert changed == {"results.md", gain, tasks, stale.name}
    assert {path.name for path in stale.parent.iterdir()} == {gain, tasks}
    assert f"images/{gain}" in document.read_text(encoding="utf-8")
    assert f"commit `{result['commit']}`" in document.read_text(encoding="utf-8")
    assert render(document, results) == []


def test_a_section_says_where_it_comes_from(tmp_path: Path) -> None:
    section = section_of(protocol(), comparison(tmp_path))
    assert section.startswith("### Preset `standard`, on test\n")
    assert "python -m benchmarks.science --preset standard --arms uniform hydra" in section
    assert "--tasks answers skills --save" in section  # more than the preset's
    assert "seeds 0 and 1; budget of rank 1 and 2; 10 items per task and run" in section.lower()
    assert "protocol `ab12`" in section
    assert "left out: hidden" in section
    assert "† holds more than the budget (full: a reference)" in section
    for title in ("decision rule", "Equal steps", "Equal wall-clock", "Cost"):
        assert f"**{title}**" in section or f"**The {title}**" in section


def test_only_tuned_presets_that_decide_have_the_rule(tmp_path: Path) -> None:
    answer: dict[str, Any] = comparison(tmp_path, "quick", untuned=["hydra", "uniform"])
    section = section_of(protocol(), answer)
    assert "decision rule" not in section
    assert "Not tuned, at the middle of their trials: hydra, uniform." in section


def test_tuning_has_a_line_for_every_winner(tmp_path: Path) -> None:
    section = section_of(protocol(), tuned(tmp_path))
    assert "| answers | 1 | uniform | lr 0.02 | 0.4000 | 50.0 | 2 | 0.0 |" in section
    won = "lr 0.01, early_lr_factor 0.5"
    assert f"| answers | 1 | hydra | {won} | 0.3000 | 50.0 | 2, 1 failed | 0.0 |" in section
    assert "python -m benchmarks.science --preset tune --save" in section
