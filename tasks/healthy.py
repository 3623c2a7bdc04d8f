"""Is a worker of this machine alive? ``python -P -m rankscope.tasks.healthy`` ends with 0 or 1.

Health is the age of the heartbeat in the database: a process that exists but hangs has none.
"""

import socket
import sys
from datetime import UTC, datetime

from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.storage.workers import list_workers


def is_healthy(settings: Settings, host: str) -> bool:
    """Whether a worker of ``host`` was seen within its time."""
    engine = open_database(settings.database_url)
    try:
        workers = list_workers(engine, datetime.now(UTC))
    finally:
        engine.dispose()
    return any(worker.is_alive and worker.host == host for worker in workers)


if __name__ == "__main__":
    sys.exit(0 if is_healthy(Settings(), socket.gethostname()) else 1)
