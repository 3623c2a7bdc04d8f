"""Record an adapter that was trained elsewhere as a run that has ended."""

import hashlib
import time
from pathlib import Path

from sqlalchemy import Engine, update

from rankscope.models.adalora_checkpoint import CONFIG, WEIGHTS, AdaLoraCheckpoint, read_adalora
from rankscope.models.budgets import ParamsBudget
from rankscope.models.events import Event, LogLine, ParamsSampled, RanksChanged, StatusChanged
from rankscope.models.external import (
    ExternalData,
    ExternalLora,
    ExternalModel,
    ExternalRun,
    ExternalScheduler,
    ExternalTraining,
)
from rankscope.storage.database import writing
from rankscope.storage.external import ExternalRuns
from rankscope.storage.tables import Run

_LONGEST = 200
"""Of what describes a run."""


def import_adalora(engine: Engine, folder: Path, *, name: str, owner: str) -> str:
    """Record a peft AdaLoRA checkpoint; importing it twice gives the same run.

    Args:
        engine: The database.
        folder: What ``save_pretrained`` wrote.
        name: Of the run, for people; the folder's by default.
        owner: Who imports it.

    Returns:
        The run's id.

    Raises:
        ConfigError: The folder holds no such checkpoint: rule, value, remedy.
    """
    checkpoint = read_adalora(folder)
    described = _described(checkpoint, (name or folder.resolve().name)[:_LONGEST])
    runs = ExternalRuns(engine, None)
    key = f"import/{owner}/{_digest(folder)}"
    opened = runs.open(described, checkpoint.inventory, owner=owner, key=key)
    runs.receive(opened.run_id, opened.attempt, 1, _events(checkpoint, folder))
    with writing(engine) as connection:
        # steps are counted as they are told, and no step of it was
        is_this = update(Run).where(Run.id == opened.run_id)
        connection.execute(is_this.values(step=described.training.steps))
    return opened.run_id


def _described(checkpoint: AdaLoraCheckpoint, name: str) -> ExternalRun:
    settings = checkpoint.settings
    return ExternalRun(
        name=name,
        tags=("imported",),
        model=ExternalModel(name=(settings.base_model_name_or_path or "")[:_LONGEST]),
        data=ExternalData(task="unknown data"),
        # AdaLoRA's own budget counts ranks
        budget=ParamsBudget(value=settings.target_r * checkpoint.inventory.params_per_rank),
        scheduler=settings.scheduler() or ExternalScheduler(name="AdaLoRA"),
        lora=ExternalLora(max_rank=settings.init_r),
        training=ExternalTraining(steps=settings.total_step or 1),
    )


def _events(checkpoint: AdaLoraCheckpoint, folder: Path) -> list[Event]:
    """The start that the settings tell and the end that the weights show; nothing in between."""
    settings, modules = checkpoint.settings, checkpoint.inventory.modules
    now, last = time.time(), settings.total_step or 1
    start = dict.fromkeys(checkpoint.ranks, settings.init_r)
    # E is one parameter per rank beside A and B
    live = checkpoint.inventory.params(start) + settings.init_r * len(modules)
    moved = sum(m.cost * abs(checkpoint.ranks[m.name] - settings.init_r) for m in modules) // 2
    kept = checkpoint.inventory.params(checkpoint.ranks)
    text = (
        f"imported from {folder}: the ranks of the start and of the end; "
        "what happened between is not in a checkpoint"
    )
    return [
        StatusChanged(step=0, time=now, status="running", reason="imported"),
        ParamsSampled(step=0, time=now, live_params=live, sample=0),
        RanksChanged(
            step=0, time=now, ranks=start, cause="start", moved_params=0, live_params=live
        ),
        RanksChanged(
            step=last,
            time=now,
            ranks=checkpoint.ranks,
            cause="observed",
            moved_params=moved,
            live_params=kept,
        ),
        LogLine(step=last, time=now, level="info", text=text),
        StatusChanged(step=last, time=now, status="done", reason="imported"),
    ]


def _digest(folder: Path) -> str:
    """Of the checkpoint's files, so that a copy of it is the same run."""
    digest = hashlib.sha256()
    for file in (CONFIG, WEIGHTS):
        with (folder / file).open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
