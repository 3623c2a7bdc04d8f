"""Export a run's last checkpoint into its own folder, and remember the adapter as its artifact."""

import json
import shutil
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rankscope.storage.artifacts import RunFolder, record_artifact
from rankscope.storage.database import open_database
from rankscope.storage.errors import StorageError
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.tasks.processes import command, environment

log = structlog.get_logger()

ADAPTERS = "adapters"
"""Their folder within a run's; one folder per step."""
_TICK_S = 0.5


class ExportFailed(RuntimeError):
    """Nothing was exported; the message says why."""


def export_adapter(settings: Settings, run_id: str, ending: threading.Event) -> None:
    """Export in a process of its own; what goes wrong is said in the run's log, for people.

    Args:
        settings: Where database and files are.
        run_id: The run; an unknown one is refused in this process's log only.
        ending: Set when the worker is to end: the export is given up.
    """
    try:
        path = _export(settings, run_id, ending)
    except (ExportFailed, StorageError, SQLAlchemyError, OSError) as error:
        reason = " ".join(str(error).split())
        log.warning("export failed", run=run_id, reason=reason)
        _tell(settings, run_id, f"export failed: {reason}")
    else:
        log.info("exported", run=run_id, path=path)
        _tell(settings, run_id, f"exported: {path}")


def _export(settings: Settings, run_id: str, ending: threading.Event) -> str:
    engine = open_database(settings.database_url)
    config = get_run(engine, run_id).config
    folder = RunFolder(settings, run_id)
    partial = folder.inside(f"{ADAPTERS}/.{uuid.uuid4().hex}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        step = _run_process(run_id, partial, environment(config), ending)
        path = f"{ADAPTERS}/step-{step:09d}"
        _replace(partial, folder.inside(path))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = [file for file in folder.inside(path).rglob("*") if file.is_file()]
    size_bytes = sum(file.stat().st_size for file in files)
    record_artifact(engine, run_id, kind="adapter", path=path, step=step, size_bytes=size_bytes)
    engine.dispose()
    return path


def _run_process(run_id: str, to: Path, environ: dict[str, str], ending: threading.Event) -> int:
    """Returns the exported step."""
    process = subprocess.Popen(
        command("exporting", run_id, str(to)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        start_new_session=True,
    )
    with process:
        while True:
            try:
                said, complaint = process.communicate(timeout=_TICK_S)
                break
            except subprocess.TimeoutExpired:
                if ending.is_set():
                    process.send_signal(signal.SIGKILL)
    if process.returncode:
        lines = complaint.strip().splitlines() or ["the worker ended; export again"]
        raise ExportFailed(lines[-1])
    return int(json.loads(said.strip().splitlines()[-1])["step"])


def _replace(new: Path, final: Path) -> None:
    """Put a folder in the place of an older export of the same step."""
    if final.exists():
        old = new.with_name(f"{new.name}.old")
        final.rename(old)
        new.rename(final)
        shutil.rmtree(old)
    else:
        new.rename(final)


def _tell(settings: Settings, run_id: str, line: str) -> None:
    try:
        with RunFolder(settings, run_id).log_path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except (StorageError, OSError) as error:
        log.warning("not in the run's log", run=run_id, reason=str(error))
