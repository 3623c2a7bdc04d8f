import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from rankscope.tasks import machine
from rankscope.tasks.processes import TrainingProcess

RUN_ID = "abcdefghij"


@pytest.fixture
def sleeper() -> Iterator[psutil.Popen]:
    """A process whose command line names a run, as a trainer's does."""
    command = [sys.executable, "-c", "import time; time.sleep(60)", RUN_ID]
    process = psutil.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while not process.cmdline():  # empty for an instant within exec
        pass
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_a_process_is_found_again_by_pid_start_time_and_run(sleeper: psutil.Popen) -> None:
    found = TrainingProcess.find(RUN_ID, sleeper.pid, sleeper.create_time())
    assert found is not None
    assert found.pid == sleeper.pid


def test_a_pid_that_another_process_has_by_now_is_never_taken_for_the_trainer(
    sleeper: psutil.Popen,
) -> None:
    started_at = sleeper.create_time()
    assert TrainingProcess.find(RUN_ID, sleeper.pid, started_at - 60) is None
    assert TrainingProcess.find("jihgfedcba", sleeper.pid, started_at) is None


def test_a_killed_process_that_nobody_has_collected_has_ended(sleeper: psutil.Popen) -> None:
    found = TrainingProcess.find(RUN_ID, sleeper.pid, sleeper.create_time())
    assert found is not None
    found.kill()
    while sleeper.status() != psutil.STATUS_ZOMBIE:
        pass
    assert found.has_ended()
    assert TrainingProcess.find(RUN_ID, sleeper.pid, found.started_at) is None


def test_the_starter_knows_the_signal_that_ended_its_process(sleeper: psutil.Popen) -> None:
    process = TrainingProcess(sleeper)
    process.ask(signal.SIGTERM)
    sleeper.wait(10)
    assert process.how_it_ended() == "the training process was ended by SIGTERM"


def test_a_machine_says_what_it_computes_on_and_how_full_its_memory_is() -> None:
    assert machine.device()
    memory = machine.memory()
    assert 0 < memory.used_bytes < memory.total_bytes
