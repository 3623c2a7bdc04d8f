"""How a process that carries one attempt at a run or an evaluation begins, fails and ends."""

import argparse
import contextlib
import io
import os
import sys
from typing import NoReturn, Protocol, TextIO

import structlog
import transformers
from sqlalchemy import Engine
from typing_extensions import override

from rankscope.storage.database import open_database
from rankscope.storage.errors import StorageError
from rankscope.storage.settings import Settings
from rankscope.tasks.generation import is_out_of_memory
from rankscope.tasks.logs import log_to_stderr
from rankscope.tasks.settings import WorkerSettings

log = structlog.get_logger()


class Carrier(Protocol):
    """Does the work of one attempt."""

    def __call__(
        self, engine: Engine, settings: Settings, id_: str, number: int, /, *, lease_s: float
    ) -> str:
        """How the attempt of this number ended; others may take over after so many seconds."""
        ...


class UnbreakableLog(io.TextIOBase):
    """A log that a full disk cannot turn into the end of a run, or of the word why it ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @override
    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    @override
    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def carry(description: str | None, what: str, carrier: Carrier) -> NoReturn:
    """Be the process of one attempt: arguments, log, database, work, exit status.

    The status is 1 when the work failed or could not be recorded, else 0.

    Args:
        description: Of the program, for its help.
        what: It carries: ``run`` or ``evaluation``.
        carrier: Does the work.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("id", metavar=what, help=f"id of the {what}")
    parser.add_argument("--attempt", type=int, required=True, help="its number, begun already")
    arguments = parser.parse_args()
    sys.stdout = sys.stderr = UnbreakableLog(sys.stderr)
    log_to_stderr()
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    settings = Settings()
    engine = open_database(settings.database_url)
    try:
        lease_s = WorkerSettings().lease_s
        status = carrier(engine, settings, arguments.id, arguments.attempt, lease_s=lease_s)
    except StorageError as error:
        log.error("not recorded", reason=str(error))  # noqa: TRY400 - it says all
        status = "failed"
    # all is written; the libraries' own teardown would take two more seconds of a core
    os._exit(1 if status == "failed" else 0)


def one_line(error: Exception, *, batch_size: str) -> str:
    """Why something failed, for people.

    Args:
        error: What was raised.
        batch_size: The setting to lower where memory was short.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if is_out_of_memory(error):
        return f"out of memory; lower {batch_size} ({text})"
    return text
