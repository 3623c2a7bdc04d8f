"""Folders that a person gives: files are found below them only."""

from pathlib import Path

from rankscope.models.benchmarks.rows import shortened


class Folder:
    """A folder; it may itself be a symbolic link, but nothing in it.

    Raises:
        ValueError: If there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ValueError(f"{root}: must be a folder; check the path")
        self._given = root
        self._root = root.resolve()

    def find(self, relative: str, place: str) -> Path:
        """The file that a row names.

        Args:
            relative: Path below this folder, as the row gives it.
            place: File and row, for messages.

        Raises:
            ValueError: If the path leaves the folder, by ".." or a link, or no file is there.
        """
        wanted = Path(relative)
        if wanted.is_absolute() or ".." in wanted.parts or "\0" in relative:
            raise self._leaves(relative, place)
        path = self._root / wanted
        try:
            found = path.resolve(strict=True)
            is_file = found.is_file()
        except (OSError, RuntimeError):
            is_file = False
        if not is_file:
            raise ValueError(
                f"{place}: the file {shortened(relative)} must be in {self._given}, and is not; "
                "fetch it, or give the folder it is in"
            )
        if found != path:
            raise self._leaves(relative, place)
        return found

    def has_folder(self, relative: str) -> bool:
        """Whether a folder of our own naming is there."""
        return (self._root / relative).is_dir()

    def _leaves(self, relative: str, place: str) -> ValueError:
        return ValueError(
            f"{place}: a file must stay within {self._given} without links or '..', "
            f"got {shortened(relative)}; put the file itself there"
        )
