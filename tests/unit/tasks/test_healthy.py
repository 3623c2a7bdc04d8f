from pathlib import Path

from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from rankscope.storage.workers import WorkerBeat, beat
from rankscope.tasks.healthy import is_healthy


def test_a_worker_counts_on_its_own_host_only(tmp_path: Path) -> None:
    settings = Settings(rankscope_home=tmp_path)
    engine = open_database(settings.database_url)
    migrate(engine)
    assert not is_healthy(settings, "here")
    beat(
        engine,
        WorkerBeat(
            id="w1",
            host="here",
            pid=1,
            queues=["default"],
            num_slots=2,
            device="cpu",
            memory_bytes=None,
            memory_used_bytes=None,
            version="0",
        ),
    )
    assert is_healthy(settings, "here")
    assert not is_healthy(settings, "there")
