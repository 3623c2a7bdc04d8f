"""The processes that train, export and list: how they are started, watched and told to end."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

from rankscope.models.config import RunConfig
from rankscope.models.vlms import AnyVlm
from rankscope.tasks import machine
from rankscope.tasks.machine import num_cores

STOP, GIVE_BACK = signal.SIGINT, signal.SIGUSR1
"""What a training process is told: to end, or to go back to the queue; either saves first. SIGTERM
is what torchrun ends the others with when one of several processes is lost."""

_NO_DEVICE = "-1"
_UNHURRIED_S = 86_400
_SAME_START_S = 2.0
"""Linux gives a start time to a second or so, and pids do not come round again that fast."""


class TrainingProcess:
    """A training or evaluating process: started here, or found again by pid and start time.

    It leads a process group of its own, so that its end is the end of the helpers it starts too.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.pid: int = process.pid
        self.started_at: float = process.create_time()

    @classmethod
    def start(
        cls,
        run_id: str,
        attempt: int,
        *,
        log: Path,
        environment: dict[str, str],
        verb: str = "trainer",
        num_processes: int = 1,
    ) -> Self:
        """Start one attempt at a run, or an evaluation, its output appended to its log file.

        Several processes are those of torchrun, which is the one that is watched and told to end.

        Raises:
            OSError: The log cannot be written or no process be started.
        """
        with log.open("ab") as output:
            return cls(
                psutil.Popen(
                    several(num_processes, command(verb, run_id, "--attempt", str(attempt))),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            )

    @classmethod
    def find(cls, run_id: str, pid: int, started_at: float) -> Self | None:
        """The process that still trains a run, or None where that pid is free or another's."""
        try:
            found = cls(psutil.Process(pid))
            is_same = abs(found.started_at - started_at) < _SAME_START_S
            if is_same and run_id in found._process.cmdline() and not found.has_ended():
                return found
        except psutil.Error:
            pass
        return None

    def has_ended(self) -> bool:
        """Whether it is gone; one that nobody has collected yet is."""
        if isinstance(self._process, psutil.Popen):
            return self._process.poll() is not None
        try:
            is_zombie = self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        return is_zombie or not self._process.is_running()

    def ask(self, number: signal.Signals) -> None:
        """Send the training process, not the helpers it started, a signal that it answers."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and its helpers at once, if it is still this process that leads the group."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """For people, without the log; only the starter learns a status."""
        code = self._process.returncode if isinstance(self._process, psutil.Popen) else None
        if code is None:
            return "the training process ended without a word"
        if code < 0:
            return f"the training process was ended by {signal.Signals(-code).name}"
        return f"the training process ended with status {code} and no word"


def several(num_processes: int, one: list[str]) -> list[str]:
    """Argument list that starts one command so many times, as processes that find each other.

    Each gets one of the CUDA devices that are visible. The end of any ends all; what they are asked
    by a signal they are given the time to do, since those who ask press on themselves.
    """
    if num_processes == 1:
        return one
    return [
        *(sys.executable, "-P", "-m", "torch.distributed.run"),
        # static: the other backend unpickles what anybody writes to its open port
        *("--nnodes", "1", "--rdzv-backend", "static", "--rdzv-endpoint", "127.0.0.1:0"),
        *("--nproc-per-node", str(num_processes), "--virtual-local-rank"),
        *("--signals-to-handle", ",".join(one.name for one in (STOP, GIVE_BACK, signal.SIGTERM))),
        *("--shutdown-timeout", str(_UNHURRIED_S)),
        *("--no-python", *one),
    ]


def command(verb: str, *arguments: str) -> list[str]:
    """Argument list of ``rankscope.tasks.VERB`` as a process of its own."""
    # -P: a user's own folder called models or tasks must never shadow a package.
    return [sys.executable, "-P", "-m", f"rankscope.tasks.{verb}", *arguments]


class JobFailed(RuntimeError):
    """A local process ended with an error; the message is its own last line."""


def answer_of(verb: str, *arguments: str, config: RunConfig) -> str:
    """The last line that ``rankscope.tasks.VERB`` prints as a process of its own.

    Raises:
        JobFailed: It ended with an error.
    """
    done = subprocess.run(
        command(verb, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(config),
        check=False,
    )
    if done.returncode:
        raise JobFailed(reason_of(done.stderr))
    return last_line(done.stdout)


def last_line(said: str) -> str:
    """What a process answers; libraries may have printed before."""
    return said.strip().split("\n")[-1]  # texts may hold what splitlines takes for line breaks


def reason_of(complained: str) -> str:
    """Why a process failed, in its own last words."""
    return (complained.strip().splitlines() or ["no word"])[-1]


def environment(config: RunConfig, *, num_jobs: int = 1) -> dict[str, str]:
    """This process's environment; libraries stay quiet unless it says otherwise.

    They stay offline too, but for a run that names a model or data of the Hugging Face hub.

    Args:
        config: What will run.
        num_jobs: How many share this machine's cores; the config's own threads come first.
    """
    training = config.training
    return model_environment(
        config.model,
        is_online="hub" in (config.model.kind, config.data.kind),
        device=training.device,
        num_jobs=num_jobs,
        num_processes=training.num_processes,
    )


def model_environment(
    model: AnyVlm,
    *,
    is_online: bool,
    device: str = "auto",
    num_jobs: int = 1,
    num_processes: int = 1,
) -> dict[str, str]:
    """The same for what runs a model; ``is_online`` lets it ask the Hugging Face hub."""
    num_threads = model.threads or max(1, num_cores() // (num_jobs * num_processes))
    usual = {
        "OMP_NUM_THREADS": str(num_threads),
        "HF_HUB_OFFLINE": "0" if is_online else "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONUNBUFFERED": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    return usual | dict(os.environ) | _devices(device, num_processes)


def _devices(name: str, num_processes: int) -> dict[str, str]:
    """Leave every process the one CUDA device that it may use, or none if that is not there.

    A process that saw several would spread its run over all of them.
    """
    seen = machine.gpus()
    if name in ("cpu", "mps"):
        seen = ()
    elif not seen:
        return {}
    first = int(name.partition(":")[2] or 0)
    left = seen[first : first + num_processes]
    hidden = [_NO_DEVICE] * (num_processes - len(left))
    return {machine.VISIBLE: ",".join([*left, *hidden])}
