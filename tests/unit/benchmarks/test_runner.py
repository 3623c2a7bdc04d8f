"""Which run belongs to a cell, without training any."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from benchmarks.science.protocol import Cell, merged
from benchmarks.science.runner import Runner
from rankscope.models.config import RunConfig
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from tests.unit.benchmarks.protocols import RAW, protocol

UNIFORM = Cell("answers", "uniform", 1, 0, "test")
HYDRA = Cell("answers", "hydra", 1, 0, "test")
NONE: frozenset[str] = frozenset()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path}/rankscope.db")
    migrate(engine)
    yield engine
    engine.dispose()


def runner(engine: Engine, home: Path) -> Runner:
    return Runner(engine, Settings(rankscope_home=home), jobs=1)


def configs(*cells: Cell) -> dict[Cell, RunConfig]:
    return {cell: protocol().config(cell, {}) for cell in cells}


def end(engine: Engine, run: str, config: dict[str, object] | None = None) -> None:
    values: dict[str, object] = {"status": "done"}
    if config is not None:
        values |= {"config": config, "config_hash": "older", "idempotency_key": "older"}
    with writing(engine) as connection:
        connection.execute(update(Run).where(Run.id == run).values(values))


def test_the_same_cell_always_has_the_same_run(engine: Engine, tmp_path: Path) -> None:
    first = runner(engine, tmp_path).runs_of(configs(UNIFORM, HYDRA), NONE)
    assert first[UNIFORM] != first[HYDRA]
    assert runner(engine, tmp_path).runs_of(configs(HYDRA, UNIFORM), NONE) == first


def test_cells_of_one_configuration_share_a_run(engine: Engine, tmp_path: Path) -> None:
    arms = RAW["arms"] | {"uniform, again": RAW["arms"]["uniform"]}
    twin = Cell("answers", "uniform, again", 1, 0, "test")
    both = configs(UNIFORM) | {twin: protocol(arms=arms).config(twin, {})}
    runs = runner(engine, tmp_path).runs_of(both, NONE)
    assert runs[UNIFORM] == runs[twin]


def test_an_arm_whose_method_changed_is_run_anew(engine: Engine, tmp_path: Path) -> None:
    before = runner(engine, tmp_path).runs_of(configs(UNIFORM, HYDRA), NONE)
    after = runner(engine, tmp_path).runs_of(configs(UNIFORM, HYDRA), frozenset({"hydra"}))
    assert after[UNIFORM] == before[UNIFORM]
    assert after[HYDRA] != before[HYDRA]
    assert runner(engine, tmp_path).runs_of(configs(UNIFORM, HYDRA), NONE) == after


def test_a_done_run_from_before_a_setting_existed_counts(engine: Engine, tmp_path: Path) -> None:
    """Its record lacks the setting, whose default is what it ran with."""
    [run] = runner(engine, tmp_path).runs_of(configs(UNIFORM), NONE).values()
    [config] = configs(UNIFORM).values()
    old = config.model_dump(mode="json")
    del old["evaluation"]["before"]
    end(engine, run, old)
    assert runner(engine, tmp_path).runs_of(configs(UNIFORM), NONE) == {UNIFORM: run}
    end(engine, run, merged(old, {"optimizer": {"lr": 0.5}}))
    assert runner(engine, tmp_path).runs_of(configs(UNIFORM), NONE) != {UNIFORM: run}


def test_what_is_done_starts_no_process(engine: Engine, tmp_path: Path) -> None:
    with runner(engine, tmp_path) as quick:
        [run] = quick.runs_of(configs(UNIFORM), NONE).values()
        end(engine, run)
        assert quick.run("nothing to do", configs(UNIFORM)) == {UNIFORM: run}
        assert quick._pool is None
