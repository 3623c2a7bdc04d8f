"""A real training as a page sees it: started from the command line, drawn while it runs."""

import time
from pathlib import Path

from rankscope.storage import history
from rankscope.storage.database import migrate, open_database
from rankscope.storage.finding import list_runs
from rankscope.storage.settings import Settings
from tests.helpers.command import TINY_RUN, CommandLine
from tests.helpers.valkey import ValkeyServer
from tests.helpers.watching import Watcher
from tests.integration.live.serving import LiveServer

CONFIG = Path(__file__).parents[3] / "configs" / "demo.yaml"


def test_a_page_draws_a_training_in_another_process_while_it_runs(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    valkey.flush()
    rankscope = CommandLine(tmp_path, REDIS_URL=valkey.url)
    settings = Settings(rankscope_home=tmp_path, redis_url=valkey.url)
    engine = open_database(settings.database_url)
    migrate(engine)
    training = rankscope.start("run", str(CONFIG), *TINY_RUN, "--json")
    deadline = time.monotonic() + 60
    while (runs := list_runs(engine)).empty:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run_id = str(runs["id"][0])
    with LiveServer(engine, settings) as server, Watcher(server.address, run_id) as watcher:
        output, problems = training.communicate(timeout=240)
        assert training.returncode == 0, problems + output
        summary = history.summary(engine, run_id)
        watcher.wait_until(lambda: len(watcher.losses) == 12)
        watcher.wait_until(lambda: watcher.beats[-1]["run"]["status"] == "done")
        assert watcher.wrong == []
        assert watcher.num_live_events > 12
        assert watcher.ranks == dict(enumerate(history.rank_map(engine, run_id).values()))
        metrics = history.metrics(engine, run_id)
        assert watcher.losses == dict(
            zip(metrics["step"].tolist(), metrics["loss"].tolist(), strict=True)
        )
    assert summary.status == "done"
    engine.dispose()
