"""The command line as people use it: a process of its own, its database and files in a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TINY_RUN = [
    *("--set", "training.steps=12"),
    *("--set", "training.batch_size=8"),
    *("--set", "evaluation.test_items=64"),
    *("--set", "evaluation.validation_items=32"),
]
"""Overrides that make a real run of a few seconds."""


class CommandLine:
    """Runs ``rankscope`` with ``RANKSCOPE_HOME`` in ``home``."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "RANKSCOPE_HOME")
        }
        self.environment = (
            kept | {"RANKSCOPE_HOME": str(home), "OMP_NUM_THREADS": "1"} | environment
        )

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and insist on its exit code."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=280,
            check=False,
        )
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def answer(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The JSON object on the last line of a command's stdout."""
        line = self(*arguments, "--json", code=code).stdout.splitlines()[-1]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and go on."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def command(self, *arguments: str) -> list[str]:
        """The process's argument list."""
        return [sys.executable, "-P", "-m", "rankscope.app", *arguments]
