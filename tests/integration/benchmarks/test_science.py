"""The whole benchmark on runs of four steps: tuning, comparing, resuming, running anew."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from benchmarks.science.__main__ import show
from benchmarks.science.presets import Options, run_preset
from benchmarks.science.protocol import ProtocolError, read_protocol
from benchmarks.science.sections import section_of
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from tests.unit.benchmarks.protocols import RAW


def options(home: Path, preset: str, **changes: Any) -> Options:
    """A home with its own protocol and winners."""
    path = home / "protocol.yaml"
    if not path.exists():
        path.write_text(yaml.safe_dump(RAW), encoding="utf-8")
    winners = home / "winners.yaml"
    return Options(preset, home, 1, protocol=path, winners=winners, **changes)


def rows(home: Path) -> dict[str, str]:
    """Runs and what they are called, oldest first."""
    engine = open_database(Settings(rankscope_home=home).database_url)
    with engine.connect() as connection:
        found = connection.execute(select(Run.id, Run.name).order_by(Run.created_at))
        return {row.id: row.name for row in found}


def assert_promised(answer: dict[str, Any]) -> None:
    """The shape that the last line of standard output has."""
    assert answer["preset"] == "quick"
    assert answer["budget_violations"] == 0
    assert answer["tasks"].keys() == {"answers"}
    assert answer["arms"].keys() == {"uniform", "hydra", "hydra, again"}
    hydra, uniform = answer["arms"]["hydra"], answer["arms"]["uniform"]
    low, high = hydra["vs_uniform_ci95"]
    assert low <= hydra["vs_uniform"] <= high
    # After four steps uniform may not have a single answer right: no ratio then.
    assert (uniform["accuracy"] > 0) == ("relative_gain_vs_uniform" in hydra)


@pytest.mark.timeout(900)  # processes that import torch, three times
def test_from_tuning_to_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProtocolError, match="--preset tune"):
        run_preset(options(tmp_path, "standard"))
    assert rows(tmp_path) == {}

    _, tuned = run_preset(options(tmp_path, "tune", arms=["hydra"]))
    winners = yaml.safe_load((tmp_path / "winners.yaml").read_text(encoding="utf-8"))
    assert winners["arms"]["hydra"]["answers"][1.0]["steering_steps"] > 0
    assert tuned["budget_violations"] == 0
    assert list(rows(tmp_path).values()) == 2 * ["answers: hydra"]

    table, first = run_preset(options(tmp_path, "quick"))
    assert "| hydra |" in table
    assert first["left_out"] == ["hidden"]  # sealed
    assert first["budget_violations"] == 0
    assert first["untuned"] == ["uniform"]
    names = ["answers: hydra", "answers: hydra, again", "answers: uniform"]
    assert sorted(list(rows(tmp_path).values())[2:]) == names

    _, second = run_preset(options(tmp_path, "quick"))
    assert second["arms"] == first["arms"]
    assert len(rows(tmp_path)) == 5  # nothing was run again

    capsys.readouterr()
    assert show(options(tmp_path, "quick"), table=True) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert_promised(json.loads(last, parse_constant=pytest.fail))

    kept = json.loads((tmp_path / "science-quick.json").read_text(encoding="utf-8"))
    assert {"protocol_sha256", "winners_sha256", "commit", "versions", "cpu", "date"} <= kept.keys()
    assert len(kept["runs"]) == 3
    section = section_of(read_protocol(tmp_path / "protocol.yaml")[0], kept)
    assert "python -m benchmarks.science --preset quick --save" in section
    assert "Not tuned, at the middle of their trials: uniform." in section
    trials = json.loads((tmp_path / "science-tune.json").read_text(encoding="utf-8"))
    assert "| answers | 1 | hydra | lr " in section_of(
        read_protocol(tmp_path / "protocol.yaml")[0], trials
    )
    assert all(len(run["ranks"]) > 0 for run in kept["runs"])
    assert not list(tmp_path.glob("runs/*/checkpoints/*"))  # a finished run leaves none


def test_a_sealed_task_asked_for_by_name_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="sealed"):
        run_preset(options(tmp_path, "quick", tasks=["hidden"]))
    with pytest.raises(ProtocolError, match="an arm must stand in"):
        run_preset(options(tmp_path, "quick", arms=["nobody"]))
    with pytest.raises(ProtocolError, match="a task must be one of"):
        run_preset(options(tmp_path, "quick", tasks=["nothing"]))
    with pytest.raises(ProtocolError, match="--num-seeds must be between 1 and"):
        run_preset(options(tmp_path, "quick", num_seeds=0))
    assert rows(tmp_path) == {}
