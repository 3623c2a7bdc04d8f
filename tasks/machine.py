"""What a worker says of the machine it works on; found out without torch."""

import platform
import shutil
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import psutil

from rankscope.tasks.processes import num_cores

_ANSWER_S = 5


class Memory(NamedTuple):
    """Bytes in all and in use: of the accelerators where there are any, else of the machine."""

    total_bytes: int
    used_bytes: int


def host() -> str:
    """The name under which training processes of this machine are found again."""
    return socket.gethostname()


def device() -> str:
    """What trainings compute on, for people: ``NVIDIA H200`` or ``AMD EPYC, 2 cores``."""
    names = _ask_nvidia("name")
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    cores = num_cores()
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}"


def memory() -> Memory:
    """Memory now."""
    rows = [row.split(",") for row in _ask_nvidia("memory.total,memory.used")]
    try:
        mebibytes = [(int(total), int(used)) for total, used in rows]
    except ValueError:  # some devices answer "[N/A]"
        mebibytes = []
    if mebibytes:
        return Memory(*(sum(column) * 2**20 for column in zip(*mebibytes, strict=True)))
    machine = psutil.virtual_memory()
    return Memory(machine.total, machine.total - machine.available)


def _ask_nvidia(what: str) -> list[str]:
    """One line per device, none without the driver's tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
