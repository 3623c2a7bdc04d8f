"""Which worker processes ``rankscope up`` starts on machines with and without GPUs."""

import pytest

from rankscope.app.up.services import worker_commands

RANKSCOPE = ("rankscope",)


@pytest.mark.parametrize("gpus", [(), ("0",)])
def test_one_gpu_or_none_is_one_workers(gpus: tuple[str, ...]) -> None:
    assert worker_commands(RANKSCOPE, 2, gpus) == {
        "worker": ["rankscope", "worker", "--slots", "2"]
    }


@pytest.mark.parametrize(("num_slots", "each"), [(1, "1"), (2, "1"), (3, "2"), (4, "2")])
def test_each_of_several_gpus_has_a_worker_and_a_queue(num_slots: int, each: str) -> None:
    started = worker_commands(RANKSCOPE, num_slots, ("0", "1"))
    assert started == {
        f"worker-{gpu}": ["rankscope", "worker", "--slots", each, "--gpu", gpu]
        for gpu in ("0", "1")
    }
