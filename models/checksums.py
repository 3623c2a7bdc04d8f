"""Published files are told by their SHA-256."""

import hashlib
from pathlib import Path


def check_sha256(file: Path, expected: str, remedy: str) -> None:
    """Compare a file with what is known of it.

    Raises:
        ValueError: If it is missing or another file.
    """
    if not file.is_file():
        raise ValueError(f"{file} must exist, got no such file; {remedy}")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise ValueError(f"{file.name} must have SHA-256 {expected}, got {found}; {remedy}")
