"""Where on this machine runs may read models and data; an operator's choice, no run's."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Roots:
    """Folders that runs are confined to.

    Args:
        data: Below it lie the files that people name as data.
        models: Below it lie the folders that people name as models.
        cache: For what was made from either and can be made again.
        allow_remote_code: Whether code that a model brings along may run.
    """

    data: Path
    models: Path
    cache: Path
    allow_remote_code: bool = False

    def model_folder(self, name: str) -> Path:
        """The folder that a run names as a model, below the models root.

        Raises:
            ValueError: If it leads elsewhere or is no folder.
        """
        folder = (self.models / name).resolve()
        if not folder.is_relative_to(self.models.resolve()) or not folder.is_dir():
            raise ValueError(
                f"a model's folder must lie below the models root {self.models}, got {name!r}, "
                "which does not or is no folder; put it there (RANKSCOPE_MODELS_ROOT says where)"
            )
        return folder

    def model_source(self, source: str) -> str:
        """A folder below the models root where ``source`` is one, else the hub id it must be.

        Raises:
            ValueError: If it is a path that leads elsewhere or to no folder.
        """
        is_path = source.startswith(("/", "./", "../", "~"))
        if is_path or (self.models / source).is_dir():
            return str(self.model_folder(str(Path(source).expanduser())))
        return source

    @property
    def pictures(self) -> Path:
        """Pictures that lay within rows of data, as files named by their hash."""
        return self.cache / "pictures"
