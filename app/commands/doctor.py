"""``rankscope doctor``: can this machine do what will be asked of it?"""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import psutil

from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import out, print_json, print_table
from rankscope.models.vlms.linears import embedded_linears
from rankscope.storage.settings import Settings
from rankscope.tasks.client import TRAINING_PACKAGES

LEAST_FREE_BYTES = 1_000_000_000
"""Below this a run with checkpoints of a larger model may fill the disk."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``remedy`` is empty where all is well."""

    what: str
    found: str
    remedy: str = ""


def doctor(as_json: AsJson = False) -> int:
    """Look at packages, database, disk and the embedded model; exit code 1 if not all is well."""
    looks: tuple[Callable[[], Finding], ...] = (
        _python,
        _training,
        _database,
        _disk,
        _machine,
        _model,
    )
    findings = [look() for look in looks]
    is_well = not any(finding.remedy for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [[f.what, f.found, f.remedy or "ok"] for f in findings]
        print_table("This machine", ["what", "found", "remedy"], rows)
        out.print("\nready" if is_well else "\nnot ready: follow the remedies above")
    return 0 if is_well else 1


def _python() -> Finding:
    found = sys.version.split()[0]
    return Finding("Python", found, "" if sys.version_info >= (3, 11) else "install Python 3.11")


def _training() -> Finding:
    versions, missing = [], []
    for package in TRAINING_PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    remedy = "to train here: pip install 'rankscope[train]'" if missing else ""
    return Finding("training packages", ", ".join(versions) or "none", remedy)


def _database() -> Finding:
    settings = Settings()
    open_store(settings).dispose()
    return Finding("database", settings.safe_url)


def _disk() -> Finding:
    folder = Settings().runs_dir
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    remedy = "" if free >= LEAST_FREE_BYTES else "free some disk, or set RANKSCOPE_HOME elsewhere"
    if not os.access(folder, os.W_OK):
        remedy = "make it writable, or set RANKSCOPE_HOME elsewhere"
    return Finding("runs folder", f"{folder}, {free / 1e9:,.1f} GB free", remedy)


def _machine() -> Finding:
    memory = psutil.virtual_memory()
    return Finding(
        "machine",
        f"{os.cpu_count()} cores, {memory.available / 1e9:,.1f} of "
        f"{memory.total / 1e9:,.1f} GB memory free",
    )


def _model() -> Finding:
    linears = embedded_linears()
    return Finding(
        "embedded model",
        f"{linears.total_params:,} parameters, {len(linears.modules)} linear modules",
    )
