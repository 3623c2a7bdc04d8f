"""A run's folder on disk: log, checkpoints, exported adapters; no path leaves it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, delete, insert, select

from rankscope.storage.choices import ArtifactKind
from rankscope.storage.database import writing
from rankscope.storage.errors import PathRefusedError
from rankscope.storage.ids import is_run_id
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Artifact

_TAIL_BLOCK_BYTES = 65_536


class StoredArtifact(NamedTuple):
    """A file or folder that a run left; ``path`` is relative to the run's folder."""

    path: str
    kind: str
    step: int
    size_bytes: int
    created_at: datetime


class RunFolder:
    """The folder of one run under ``settings.runs_dir``; made when first needed.

    Raises:
        PathRefusedError: If the id is not one, or the folder is a link that leads elsewhere.
    """

    def __init__(self, settings: Settings, run_id: str) -> None:
        if not is_run_id(run_id):
            raise PathRefusedError(
                f"a run's folder is named by its id of ten characters, got {run_id!r}; "
                "give the full id"
            )
        self.run_id = run_id
        self.path = _confined(settings.runs_dir, run_id)

    @property
    def log_path(self) -> Path:
        """Output of the training process."""
        return self.inside("log.txt")

    def make(self) -> Path:
        """Make the folder if it is not there, for its owner's eyes only."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.path

    def inside(self, relative: str) -> Path:
        """A path within the folder, whether it exists or not.

        Raises:
            PathRefusedError: If it is absolute, climbs with ``..``, or a link leads out.
        """
        return _confined(self.path, relative)

    def log_tail(self, num_lines: int = 200) -> list[str]:
        """The last lines of the log, none without a log; reads only the end of a large file."""
        try:
            with self.log_path.open("rb") as file:
                return last_lines(file.fileno(), num_lines)
        except FileNotFoundError:
            return []

    def checkpoints(self, engine: Engine) -> list[StoredArtifact]:
        """Recorded checkpoints that are still on disk, oldest first."""
        found = list_artifacts(engine, self.run_id)
        return [a for a in found if a.kind == "checkpoint" and self.inside(a.path).is_dir()]


def record_artifact(
    engine: Engine, run_id: str, *, kind: ArtifactKind, path: str, step: int, size_bytes: int
) -> None:
    """Remember a file or folder of the run, in place of an older one at the same path.

    Checkpoints come by the sink instead, as ``CheckpointSaved``.
    """
    row = {
        "run_id": run_id,
        "path": path,
        "kind": kind,
        "event_id": 0,
        "step": step,
        "size_bytes": size_bytes,
        "created_at": datetime.now(UTC),
    }
    with writing(engine) as connection:
        is_this = (Artifact.run_id == run_id, Artifact.path == path)
        connection.execute(delete(Artifact).where(*is_this))
        connection.execute(insert(Artifact).values(row))


def list_artifacts(engine: Engine, run_id: str) -> list[StoredArtifact]:
    """Everything recorded for a run, by step, then by path."""
    columns = (
        Artifact.path,
        Artifact.kind,
        Artifact.step,
        Artifact.size_bytes,
        Artifact.created_at,
    )
    statement = select(*columns).where(Artifact.run_id == run_id)
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(Artifact.step, Artifact.path))
        return [StoredArtifact(*row) for row in rows]


def _confined(root: Path, relative: str) -> Path:
    wanted = Path(relative)
    climbs = wanted.is_absolute() or ".." in wanted.parts or "\0" in relative
    path = root / wanted
    if climbs or not path.resolve().is_relative_to(root.resolve()):
        raise PathRefusedError(
            f"a path must stay within {root}, got {relative!r}; give one below that folder"
        )
    return path


def last_lines(file: int, num_lines: int) -> list[str]:
    """The last lines of an open file; reads only its end."""
    end = os.fstat(file).st_size
    tail = b""
    while end and tail.count(b"\n") <= num_lines:
        start = max(0, end - _TAIL_BLOCK_BYTES)
        tail = os.pread(file, end - start, start) + tail
        end = start
    return tail.decode("utf-8", "replace").splitlines()[-num_lines:]
