"""Where a result comes from: commit, versions, machine."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from rankscope.tasks.machine import device

ROOT = Path(__file__).parents[2]
_PACKAGES = ("accelerate", "numpy", "peft", "scipy", "torch", "transformers")


def commit() -> str:
    """The commit that is checked out; a plus where tracked files differ from it."""
    sha = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    return sha + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def about_here() -> dict[str, object]:
    """Versions and processor."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "cpu": device(),
    }


def _git(*words: str) -> str:
    answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
