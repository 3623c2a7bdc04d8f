"""A folder that nothing named by data can leave."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from rankscope.models.data.dialogue import Unfit


@dataclass(frozen=True)
class Folder:
    """Everything below one folder, without links.

    Args:
        path: The folder itself, with its own links already followed.
        name: How it is called in messages, relative to the data root; "" for the root.
    """

    path: Path
    name: str = ""

    @classmethod
    def at(cls, path: Path) -> "Folder":
        """The folder that an operator trusts; a link as its own path is their choice.

        Raises:
            Unfit: If it is no folder.
        """
        if not path.is_dir():
            raise Unfit("a folder to read from must be there", str(path), "create or correct it")
        return cls(path.resolve())

    def file(self, name: str, where: str = "") -> Path:
        """The file that data call ``name``, in the file and row ``where``.

        Raises:
            Unfit: If the name leads out of the folder, over a link, or to no regular file.
        """
        path, mode = self._walk(name, where)
        if not stat.S_ISREG(mode):
            raise Unfit(
                "a path must name a regular file", repr(name), "name the file itself", where=where
            )
        return path

    def folder(self, name: str) -> "Folder":
        """A folder below this one; "" is this one.

        Raises:
            Unfit: If the name leads out of the folder, over a link, or to no folder.
        """
        if not name:
            return self
        path, mode = self._walk(name)
        if not stat.S_ISDIR(mode):
            raise Unfit("a path must name a folder", repr(name), "name the folder itself")
        return Folder(path, str(PurePosixPath(self.name) / name))

    def has_folder(self, name: str) -> bool:
        """Whether data call a folder so, and not a file.

        Raises:
            Unfit: If the name leads out of the folder, over a link, or nowhere.
        """
        return stat.S_ISDIR(self._walk(name)[1])

    def _walk(self, name: str, where: str = "") -> tuple[Path, int]:
        """Path and mode of what ``name`` means, after a look at every step of the way."""
        path, mode = self.path, stat.S_IFDIR
        for step in _steps(name, where):
            path /= step
            try:
                mode = os.lstat(path).st_mode
            except (FileNotFoundError, NotADirectoryError) as error:
                raise Unfit(
                    "a file that data name must exist",
                    repr(name),
                    f"put it into {self.name or self.path}, or correct the name",
                    where=where,
                ) from error
            except OSError as error:
                raise Unfit(
                    "a file that data name must be readable",
                    f"{error.strerror}: {name!r}",
                    "check the name and its permissions",
                    where=where,
                ) from error
            if stat.S_ISLNK(mode):
                raise Unfit(
                    "a path must not go over symbolic links",
                    repr(name),
                    "put the file itself there, or choose another data root",
                    where=where,
                )
        return path, mode


def _steps(name: str, where: str) -> tuple[str, ...]:
    if "://" in name:
        raise Unfit(
            "a path must name a file on this machine",
            repr(name),
            "download it and name the copy",
            where=where,
        )
    is_absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    steps = PurePosixPath(name).parts
    if "\0" in name or is_absolute or ".." in steps or not steps:
        raise Unfit(
            "a path must be relative and stay below its folder",
            repr(name),
            "leave out .. and what comes before the folder",
            where=where,
        )
    return steps
