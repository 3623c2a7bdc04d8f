"""An evaluation's folder on disk: what its processes wrote for people."""

from pathlib import Path

from rankscope.storage.artifacts import last_lines
from rankscope.storage.errors import PathRefusedError
from rankscope.storage.ids import is_run_id
from rankscope.storage.settings import Settings


class EvaluationFolder:
    """The folder of one evaluation under ``settings.evaluations_dir``; made when first needed.

    Raises:
        PathRefusedError: If the id is not one.
    """

    def __init__(self, settings: Settings, evaluation_id: str) -> None:
        if not is_run_id(evaluation_id):
            raise PathRefusedError(
                f"an evaluation's folder is named by its id of ten characters, got "
                f"{evaluation_id!r}; give the full id"
            )
        self.path = settings.evaluations_dir / evaluation_id

    @property
    def log_path(self) -> Path:
        """Output of the evaluating process."""
        return self.path / "log.txt"

    def make(self) -> None:
        """Make the folder if it is not there, for its owner's eyes only."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log_tail(self, num_lines: int) -> list[str]:
        """The last lines of the log, none without a log."""
        try:
            with self.log_path.open("rb") as file:
                return last_lines(file.fileno(), num_lines)
        except FileNotFoundError:
            return []
