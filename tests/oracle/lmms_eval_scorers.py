"""The scorers of lmms-eval, imported without the framework around them.

``lmms_eval.tasks`` imports torch, datasets and more for its registry of tasks. Its place is taken
by an empty package with the same folder, so that only the modules asked for run; nothing of what
they do is replaced. ``exact_match_hf_evaluate``, which scores GQA there, stands in a module that
imports evaluate, sacrebleu and torch, so that function alone is compiled out of its file.
"""

import ast
import os
import re
import string
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = Path(os.environ.get("RANKSCOPE_ORACLE", str(Path(sys.prefix) / "oracle")))
TASKS = "lmms_eval.tasks"


def scorer(module: str) -> Any:
    """A module below ``lmms_eval/tasks``, such as "mme.utils".

    Raises:
        RuntimeError: If lmms-eval is not installed; with the command that installs it.
    """
    tasks = tasks_folder(FOLDER)
    if str(FOLDER) not in sys.path:
        # Last, so that what is installed properly goes before.
        sys.path.append(str(FOLDER))
    if TASKS not in sys.modules:
        package = ModuleType(TASKS)
        package.__path__ = [str(tasks)]
        sys.modules[TASKS] = package
    return import_module(f"{TASKS}.{module}")


def exact_match() -> Callable[..., dict[str, float]]:
    """What scores GQA.

    Raises:
        RuntimeError: If lmms-eval is not installed; with the command that installs it.
    """
    path = tasks_folder(FOLDER).parent / "api" / "metrics.py"
    module = ast.parse(path.read_text("utf-8"))
    (function,) = (
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == "exact_match_hf_evaluate"
    )
    names: dict[str, Any] = {"np": np, "re": re, "string": string}
    exec(compile(ast.Module([function], []), path, "exec"), names)  # noqa: S102
    return cast("Callable[..., dict[str, float]]", names[function.name])


def tasks_folder(folder: Path) -> Path:
    """Where the scorers are.

    Raises:
        RuntimeError: If lmms-eval is not installed; with the command that installs it.
    """
    tasks = folder / "lmms_eval" / "tasks"
    if not tasks.is_dir():
        raise RuntimeError(
            f"lmms-eval must be in {folder} and is not; run "
            f"`{sys.executable} -m pip install --no-deps --target {folder} -r {REQUIREMENTS}`"
        )
    return tasks
