"""What the application may ask of the workers; only the processes it starts import torch."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.events import OPEN_STATUSES
from rankscope.models.inventory import Inventory
from rankscope.models.reading import ConfigError
from rankscope.models.vlms.linears import shipped_linears
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.choices import Origin
from rankscope.storage.runs import RunRecord, create_run, fail_run, get_run, set_inventory
from rankscope.storage.settings import Settings
from rankscope.tasks.planning import Plan, plan_run

TRAINING_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors")
KILL_AFTER_S = 20.0
"""A training process asked to stop finishes its step and saves first; so long is enough."""


class JobFailed(RuntimeError):
    """A local process ended with an error; the message is its own last line."""


def inventory_of(config: RunConfig) -> Inventory:
    """The modules a run adapts.

    Raises:
        ConfigError: The targets match nothing.
    """
    try:
        return shipped_linears(config.model).select(config.lora.targets, config.lora.parts)
    except ValueError as error:
        raise ConfigError(f"lora.{error}") from error


def plan(config: RunConfig) -> Plan:
    """What a run would do.

    Raises:
        ConfigError: It could not run.
    """
    return plan_run(config, inventory_of(config))


def add_run(engine: Engine, config: RunConfig, *, origin: Origin, owner: str) -> str:
    """Check a run as far as that goes without training, and give it a row.

    Returns:
        The run's id.

    Raises:
        ConfigError: It could not run; no row is made.
    """
    inventory = inventory_of(config)
    budget_params = plan_run(config, inventory).budget_params
    run_id = create_run(engine, config, origin=origin, owner=owner)
    set_inventory(engine, run_id, inventory, budget_params=budget_params)
    return run_id


def check_training_packages() -> None:
    """Refuse to train where only the parts without torch are installed.

    Raises:
        ConfigError: A package is missing.
    """
    missing = [name for name in TRAINING_PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training here needs {', '.join(TRAINING_PACKAGES)}, got no {', '.join(missing)}; "
            "run: pip install 'rankscope[train]'"
        )


class Foreground:
    """A run trained by a process of this command, its output in the run's log file."""

    def __init__(self, engine: Engine, settings: Settings, run_id: str) -> None:
        self._engine = engine
        self._folder = RunFolder(settings, run_id)
        self._run_id = run_id
        self._asked_s: float | None = None
        self._folder.make()
        with self._folder.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                _command("trainer", run_id),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(get_run(engine, run_id).config),
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        """Whether the training process still runs; one that ignores a stop for long is ended."""
        if self._asked_s is not None and time.monotonic() - self._asked_s > KILL_AFTER_S:
            self._signal(signal.SIGKILL)
        return self._process.poll() is None

    def outcome(self) -> RunRecord:
        """The run's row once the process has ended; one that died without a word failed it."""
        run = get_run(self._engine, self._run_id)
        if run.status in OPEN_STATUSES:
            fail_run(self._engine, self._run_id, self._how_it_ended())
            run = get_run(self._engine, self._run_id)
        return run

    def stop(self) -> None:
        """Ask for a stop at the next step; asked twice, end it at once."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()
            self._signal(signal.SIGTERM)
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        log = " ".join(self._folder.log_tail(1)) or "empty log"
        if code < 0:
            name = signal.Signals(-code).name
            return (
                f"the training process was ended by {name}; resume the run (last log line: {log})"
            )
        return f"the training process ended with status {code} and no word (last log line: {log})"


def export(engine: Engine, run_id: str, to: Path) -> dict[str, Any]:
    """Write a run's result as a plain PEFT adapter and prove that it loads to the same logits.

    Returns:
        What was exported: the answer of :mod:`rankscope.tasks.exporting`.

    Raises:
        JobFailed: Nothing could be exported.
    """
    done = subprocess.run(
        _command("exporting", run_id, str(to)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=_environment(get_run(engine, run_id).config),
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word"]
        raise JobFailed(lines[-1])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _command(verb: str, *arguments: str) -> list[str]:
    # -P: a user's own folder called models or tasks must never shadow a package.
    return [sys.executable, "-P", "-m", f"rankscope.tasks.{verb}", *arguments]


def _environment(config: RunConfig) -> dict[str, str]:
    """This process's environment; libraries stay offline and quiet unless it says otherwise."""
    defaults = {
        "OMP_NUM_THREADS": str(config.model.threads or os.cpu_count() or 1),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONUNBUFFERED": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    return defaults | dict(os.environ)
