"""What a machine says of its accelerators, and which one of them a process is left."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rankscope.models.reading import parse_config
from rankscope.tasks import machine
from rankscope.tasks.processes import environment

DRIVERS_TOOL = """#!/bin/sh
for argument; do
  case "$argument" in
    --id=*) ids=$(echo "${argument#--id=}" | tr , ' ');;
    --query-gpu=*) what="${argument#--query-gpu=}";;
  esac
done
for id in ${ids-0 1 2}; do
  case "$what" in
    index) echo "$id";;
    name) echo "NVIDIA H200";;
    *) echo "1000, $id";;
  esac
done
"""
"""Answers as the driver's own does, on a machine of three devices."""


@pytest.fixture
def three_gpus(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine of three GPUs."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(DRIVERS_TOOL, encoding="utf-8")
    tool.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("visible", "seen", "told"),
    [
        (None, ("0", "1", "2"), "3 x NVIDIA H200"),
        ("1", ("1",), "NVIDIA H200, GPU 1"),
        ("2, 0", ("2", "0"), "2 x NVIDIA H200"),
    ],
)
def test_only_visible_gpus_are_told(
    three_gpus: dict[str, str], visible: str | None, seen: tuple[str, ...], told: str
) -> None:
    environ = three_gpus | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert machine.gpus(environ) == seen
    assert machine.device(environ) == told
    used = sum(map(int, seen))
    assert machine.memory(environ) == (len(seen) * 1000 * 2**20, used * 2**20)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_process_that_sees_no_gpu_computes_on_cores(
    three_gpus: dict[str, str], hidden: str
) -> None:
    environ = three_gpus | {"CUDA_VISIBLE_DEVICES": hidden}
    assert machine.gpus(environ) == ()
    assert "core" in machine.device(environ)


def test_without_the_drivers_tool_there_are_no_gpus(tmp_path: Path) -> None:
    assert machine.gpus({"PATH": str(tmp_path)}) == ()


@pytest.mark.parametrize(
    ("device", "visible", "left"),
    [
        ("auto", None, "0"),
        ("cuda", None, "0"),
        ("cuda:2", None, "2"),
        ("cuda:1", "2,0", "0"),
        ("auto", "2,0", "2"),
        ("cuda:3", None, "-1"),
        ("cuda:1", "2", "-1"),
        ("cpu", None, "-1"),
    ],
)
def test_a_training_process_is_left_the_one_gpu_that_its_run_may_use(
    three_gpus: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    visible: str | None,
    left: str,
) -> None:
    """A number counts what the worker itself sees; one that is not there leaves none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = three_gpus | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    config = parse_config({"data": {"kind": "easy_vqa"}, "training": {"device": device}})
    assert environment(config)["CUDA_VISIBLE_DEVICES"] == left


@pytest.mark.parametrize(
    ("device", "visible", "left"),
    [
        ("auto", None, "0,1"),
        ("cuda", "2,0", "2,0"),
        ("cuda", "2", "2,-1"),  # the run says what is missing
        ("cpu", None, "-1,-1"),
    ],
)
def test_every_process_of_a_run_of_several_is_left_a_gpu_of_its_own(
    three_gpus: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    visible: str | None,
    left: str,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = three_gpus | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    training = {"device": device, "num_processes": 2}
    config = parse_config({"data": {"kind": "easy_vqa"}, "training": training})
    assert environment(config)["CUDA_VISIBLE_DEVICES"] == left


def test_the_processes_of_a_run_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("rankscope.tasks.processes.num_cores", lambda: 12)
    config = parse_config(
        {
            "model": {"kind": "hub", "source": "a/b"},
            "data": {"kind": "easy_vqa"},
            "training": {"num_processes": 2},
        }
    )
    assert environment(config, num_jobs=3)["OMP_NUM_THREADS"] == "2"


def test_where_there_is_no_gpu_nothing_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    told: Mapping[str, str] = environment(parse_config({"data": {"kind": "easy_vqa"}}))
    assert "CUDA_VISIBLE_DEVICES" not in told
