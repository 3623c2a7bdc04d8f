"""The folder that holds a model's files: a person's own, or the hub's copy on this machine.

Weights are safetensors or nothing: pickles are neither downloaded nor read. All that follows reads
this folder alone and asks no network.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._validators import validate_repo_id

from rankscope.models.vlms.hub.settings import HubVlm
from rankscope.models.vlms.mobilevlm.folder import read_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
ADAPTER = "adapter_config.json"

_SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""Configurations, tokenizers and templates; the largest are a few MB."""
_CODE = "*.py"


def folder_of(
    settings: HubVlm,
    *,
    with_weights: bool,
    allow_remote_code: bool = False,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Where a model's files lie, downloaded first if need be.

    Args:
        settings: Which model.
        with_weights: Whether its weights are needed, or the small files only.
        allow_remote_code: Whether code that the model brings along is downloaded too.
        endpoint: Of the hub, None for the machine's setting (``HF_ENDPOINT``).
        cache_dir: Of downloads, None for the machine's setting (``HF_HOME``).

    Raises:
        ValueError: If there is no such folder or model, it may not be read, its files are not all
            there or lead elsewhere.
    """
    if _is_folder(settings.source):
        folder = _checked_folder(settings)
    else:
        _check_id(settings.source)
        patterns = [*_SMALL_FILES, _CODE] if allow_remote_code else [*_SMALL_FILES]
        folder = _downloaded(settings, patterns, endpoint, cache_dir)
        if with_weights and (folder / CONFIG).is_file():
            names = _weight_files(folder) or [WEIGHTS]
            of_one_commit = settings.model_copy(update={"revision": folder.name})
            folder = _downloaded(of_one_commit, [*patterns, *names], endpoint, cache_dir)
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"a model must come with {CONFIG}, got none in {settings.source!r}; " + _instead(folder)
        )
    if with_weights:
        _check_weights(folder, settings.source)
    return folder


def _is_folder(source: str) -> bool:
    """Whether a path is meant: it exists, or no hub id looks like it."""
    return Path(source).expanduser().is_dir() or source.startswith(("/", "./", "../", "~"))


def _checked_folder(settings: HubVlm) -> Path:
    folder = Path(settings.source).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"source must be a hub id or an existing folder, got {settings.source!r}; check the "
            "spelling"
        )
    if settings.revision is not None:
        raise ValueError(
            f"a local folder has no revisions, got revision={settings.revision!r} for {folder}; "
            "leave it out"
        )
    if (folder / ADAPTER).exists():
        raise ValueError(
            f"source must be a base model, got {folder} with an adapter ({ADAPTER}); give the "
            "folder of its base model, or merge the adapter into it"
        )
    resolved = folder.resolve()
    for path in folder.iterdir():
        if not path.resolve().is_relative_to(resolved):
            raise ValueError(
                f"files of a model must lie in its folder, got {path}, which leads elsewhere; "
                "copy them there (hf download --local-dir)"
            )
    return folder


def _check_id(source: str) -> None:
    try:
        validate_repo_id(source)
    except HFValidationError as error:
        raise ValueError(
            "source must be a hub id (owner/name) or an existing folder, got "
            f"{source!r}; check the spelling"
        ) from error


def _instead(folder: Path) -> str:
    if (folder / ADAPTER).exists():
        return f"it holds an adapter: name the base model that its {ADAPTER} tells"
    return "give a model in the format of transformers (for many there is one ending in -hf)"


def _downloaded(
    settings: HubVlm, patterns: Sequence[str], endpoint: str | None, cache_dir: Path | None
) -> Path:
    with _telling(settings):
        return Path(
            snapshot_download(
                settings.source,
                revision=settings.revision,
                allow_patterns=list(patterns),
                # Training state and other formats' configurations are of no use here.
                ignore_patterns=["*/*", ADAPTER],
                endpoint=endpoint,
                cache_dir=cache_dir,
            )
        )


@contextmanager
def _telling(settings: HubVlm) -> Iterator[None]:
    """The hub's errors as rule, value and remedy."""
    source = settings.source
    try:
        yield
    except GatedRepoError as error:
        raise ValueError(
            f"a gated model must have been granted to this machine's account, got {source!r}; "
            f"accept its terms on https://huggingface.co/{source} and sign in (hf auth login)"
        ) from error
    except RevisionNotFoundError as error:
        raise ValueError(
            f"revision must be a branch, tag or commit of {source!r}, got {settings.revision!r}; "
            "look it up on the hub or leave it out"
        ) from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"source must be a model on the hub or an existing folder, got {source!r}, which is "
            "neither or private; check the spelling, or sign in (hf auth login)"
        ) from error
    except (IncompleteSnapshotError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ValueError(
            f"a model must be on this machine or the hub within reach, got {source!r} with "
            f"neither ({_first_line(error)}); download it while online (hf download {source}), "
            "check the connection and HF_HUB_OFFLINE, or give a folder"
        ) from error
    except HfHubHTTPError as error:
        raise ValueError(
            f"the hub must answer for {source!r}, got {_first_line(error)}; try again later or "
            "give a folder"
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return re.sub(r"\s+", " ", text.splitlines()[0]) if text else type(error).__name__


def _weight_files(folder: Path) -> list[str]:
    """The files that an index names, none without an index."""
    if not (folder / INDEX).is_file():
        return []
    index: dict[str, Any] = read_json(folder, INDEX)
    weight_map = index.get("weight_map")
    names = sorted(set(weight_map.values())) if isinstance(weight_map, dict) else []
    if not names or not all(
        isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")
        for name in names
    ):
        raise ValueError(
            f"{folder / INDEX} must name safetensors beside it under 'weight_map', got "
            f"{names[:3]}; download it again"
        )
    return names


def _check_weights(folder: Path, source: str) -> None:
    names = _weight_files(folder) or [WEIGHTS]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"weights must be safetensors, got no {missing[0]} in {source!r}; complete the "
            "download, or convert pickled weights once with save_pretrained"
        )
