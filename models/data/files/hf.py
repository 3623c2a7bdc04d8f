"""Hugging Face ``datasets``: sets of the hub, streamed, and sets saved to disk.

A saved set is read as the Arrow files it consists of, for which pyarrow is enough.
Source: ``datasets`` 5.2, ``load_dataset`` and ``Dataset.save_to_disk``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from typing_extensions import override

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.arrow_files import ArrowStream
from rankscope.models.data.files.contract import BrokenRow, Record, Row, Source
from rankscope.models.data.files.settings import HubData

HUB = "hf://datasets/"
"""Before owner and name: a folder of that name in the working directory is not meant."""
_STATE, _SPLITS = "state.json", "dataset_dict.json"


@dataclass(frozen=True)
class HubSplit(Source):
    """One published split of a data set of the hub.

    Reading it imports torch where that is installed, as ``datasets`` does: not for a web process.

    Args:
        name: Owner and name.
        address: The same behind ``hf://datasets/``.
        settings: Which split of which configuration and revision.
    """

    name: str
    address: str
    settings: HubData

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        number = 0
        try:
            for number, record in enumerate(self._stream(), 1):
                yield Row(number, record)
        except Unfit:
            raise
        except Exception as error:  # the network, the hub, and every reader behind it
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if not number:
                raise Unfit(
                    "a data set of the hub must be within reach",
                    reason,
                    "check its name, subset, split, revision and the network, or download its "
                    "files and use those",
                ) from error
            unfit = Unfit(
                "a data set of the hub must be readable to its end", reason, "start again later"
            )
            yield BrokenRow.of(unfit, number + 1, self.name)

    def _stream(self) -> Iterable[Record]:
        """Rows with pictures still encoded; whatever Python code the data set has is not run."""
        stream = _datasets().load_dataset(
            self.address,
            name=self.settings.subset,
            split=self.settings.hub_split,
            revision=self.settings.revision,
            streaming=True,
        )
        # Where features are not known before the first row, none of them is a picture's.
        rows: Iterable[Record] = stream if stream.features is None else stream.decode(False)
        return rows


def saved_files(folder: Folder) -> tuple[Source, ...] | None:
    """The files of a set that ``save_to_disk`` wrote; None if this folder is none.

    Raises:
        Unfit: If it holds several splits, or lists files that it may not.
    """
    if (folder.path / _SPLITS).exists():
        splits = _mapping(folder, _SPLITS).get("splits")
        raise Unfit(
            "one split of a saved data set must be named",
            f"the folder of {splits}",
            f"put its name behind the path: {folder.name}/train",
        )
    if not (folder.path / _STATE).exists():
        return None
    state = _mapping(folder, _STATE)
    listed = state.get("_data_files")
    if state.get("_indices_data_files") or not isinstance(listed, list):
        raise Unfit("a saved data set must list its files alone", _STATE, "save it anew")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in listed]
    if not all(isinstance(name, str) for name in names):
        raise Unfit("a saved data set must list its files by name", _STATE, "save it anew")
    return tuple(ArrowStream(folder.file(str(name)), f"{folder.name}/{name}") for name in names)


def _mapping(folder: Folder, name: str) -> dict[str, object]:
    try:
        content = json.loads(folder.file(name).read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit("a saved data set must be whole", f"{name}: {error}", "save it anew") from error
    if not isinstance(content, dict):
        raise Unfit("a saved data set must be whole", f"{name}: no object", "save it anew")
    return content


def _datasets() -> ModuleType:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise Unfit(
            "data of the hub need the package datasets",
            "none installed",
            "run `pip install 'rankscope[data]'`",
        ) from error
