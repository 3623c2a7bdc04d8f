"""What a worker says of the machine it works on; found out without torch."""

import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ANSWER_S = 5
_ASKED_ANEW_S = 30
"""A plan is made at every change of a form, and asking the driver starts a process."""
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of a container, by cgroup version 2 and 1."""


class Memory(NamedTuple):
    """Bytes in all and in use: of the accelerators where there are any, else of the machine."""

    total_bytes: int
    used_bytes: int


class Device(NamedTuple):
    """What one run computes on: the first accelerator, else the processor."""

    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int
    free_bytes: int


def training_device(name: str = "auto") -> Device:
    """Where a run started here computes, and the memory it would find there.

    Args:
        name: As ``training.device`` has it; the processor stands for a device that is not there.
    """
    asked = int(time.monotonic() // _ASKED_ANEW_S)
    found = () if name in ("cpu", "mps") else _accelerators(asked)
    number = int(name.partition(":")[2] or 0)
    if number < len(found):
        return found[number]
    machine = psutil.virtual_memory()
    total = min([machine.total, *_limits()])
    return Device("cpu", _cores(), total, min(machine.available, total))


@lru_cache(maxsize=1)
def _accelerators(asked: int) -> tuple[Device, ...]:
    del asked  # the answer is kept until this is another number
    rows = (row.split(",") for row in _ask_nvidia("name,memory.total,memory.free", os.environ))
    # some devices answer "[N/A]"
    return tuple(
        Device("cuda", name, int(total) * 2**20, int(free) * 2**20)
        for name, total, free in rows
        if total.strip().isdecimal() and free.strip().isdecimal()
    )


def _limits() -> list[int]:
    """Of memory, set for the container that this process runs in."""
    limits = []
    for path in map(Path, _MEMORY_LIMITS):
        try:
            limits.append(int(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return limits


def host() -> str:
    """The name under which training processes of this machine are found again."""
    return socket.gethostname()


def gpus(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The CUDA devices that a process of this environment sees, as CUDA_VISIBLE_DEVICES has them.

    Empty without any, or without the driver's tool.
    """
    there = _ask_nvidia("index", environ)
    chosen = environ.get(VISIBLE)
    if chosen is None:
        return tuple(there)
    return tuple(name.strip() for name in chosen.split(",") if name.strip()) if there else ()


def device(environ: Mapping[str, str] = os.environ) -> str:
    """What trainings compute on, for people: ``NVIDIA H200`` or ``AMD EPYC, 2 cores``.

    One of several accelerators is told with its number: ``NVIDIA H200, GPU 1``.
    """
    names = _ask_nvidia("name", environ)
    if names:
        number = f", GPU {environ[VISIBLE]}" if VISIBLE in environ else ""
        return names[0] + number if len(names) == 1 else f"{len(names)} x {names[0]}"
    return _cores()


def _cores() -> str:
    cores = num_cores()
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}"


def memory(environ: Mapping[str, str] = os.environ) -> Memory:
    """Memory now."""
    rows = [row.split(",") for row in _ask_nvidia("memory.total,memory.used", environ)]
    try:
        mebibytes = [(int(total), int(used)) for total, used in rows]
    except ValueError:  # some devices answer "[N/A]"
        mebibytes = []
    if mebibytes:
        return Memory(*(sum(column) * 2**20 for column in zip(*mebibytes, strict=True)))
    machine = psutil.virtual_memory()
    return Memory(machine.total, machine.total - machine.available)


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ask_nvidia(what: str, environ: Mapping[str, str]) -> list[str]:
    """One line per visible device, none without the driver's tool, which itself shows all."""
    tool, visible = shutil.which("nvidia-smi", path=environ.get("PATH")), environ.get(VISIBLE)
    if tool is None or (visible is not None and visible.strip() in ("", "-1")):
        return []
    query = [tool, f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    if visible is not None:
        query.append(f"--id={visible}")
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
