"""Where the prepared model lies and what it is made of; free of torch."""

from pathlib import Path

RECORD = "prepared.json"
"""Written last: a folder without it is not whole."""

VERSION = "1"
"""Of what preparing makes; raise it when the same packages give another model."""


def prepared_folder(cache: Path) -> Path:
    """The model's folder below the cache root."""
    return cache / "smol" / f"model-{VERSION}"


def features_folder(prepared: Path) -> Path:
    """Where the features of pictures are kept, beside the model whose tower made them."""
    return prepared.with_name(f"features-{VERSION}")


def is_prepared(cache: Path) -> bool:
    """Whether the model lies there whole."""
    return (prepared_folder(cache) / RECORD).is_file()
