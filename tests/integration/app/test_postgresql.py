"""The main job on a team's database."""

from pathlib import Path

from rankscope.storage import history
from rankscope.storage.database import open_database
from tests.helpers.command import TINY_RUN, CommandLine
from tests.helpers.postgres import PostgresServer


def test_a_run_is_recorded_on_postgresql_like_on_sqlite(
    postgres: PostgresServer, tmp_path: Path, demo: str
) -> None:
    url = postgres.new_database()
    rankscope = CommandLine(tmp_path / "home", DATABASE_URL=url)
    done = rankscope.answer("run", demo, *TINY_RUN)
    assert done["status"] == "done"
    assert done["items"] == 64
    engine = open_database(url)
    assert history.metrics(engine, done["run"])["step"].tolist() == list(range(1, 13))
    assert history.numel_samples(engine, done["run"])["live_params"].max() <= 13_056
    assert len(history.decisions(engine, done["run"])) == done["decisions"] >= 5
    engine.dispose()
