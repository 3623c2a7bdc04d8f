"""``rankscope eval``: a benchmark asked of a run, an adapter or a base model."""

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from rankscope.app.interrupts import Interrupts
from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import err, progress_bar
from rankscope.app.told_evaluations import tell
from rankscope.models.adapter_folder import CONFIG_NAME
from rankscope.models.reading import load_mapping, overridden
from rankscope.storage.evaluations import EvaluationRecord, get_evaluation
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY
from rankscope.storage.settings import Settings
from rankscope.storage.workers import list_workers
from rankscope.tasks import client

POLL_S = 0.25
EXIT_CODES = {"done": 0, "failed": 1, "stopped": 130}


def evaluate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|ADAPTER|MODEL.yaml",
            help="A run's id, a folder with an adapter under the models root, or a file with a "
            "model's settings, for instance a run's configuration.",
        ),
    ],
    suite: Annotated[str, typer.Option(help="gqa, science_qa, text_vqa, pope, mme or mmbench.")],
    files: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the benchmark's files under their official names, under the data root.",
        ),
    ] = None,
    settings_given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A file, folder or setting of the benchmark, for instance ocr_tokens=hidden.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.yaml", help="The base model of an adapter."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=1024, help="Items at once; halved where memory is short.")
    ] = 8,
    priority: Annotated[
        int, typer.Option(min=0, max=9, help="0 is the most urgent, 9 can wait.")
    ] = NORMAL_PRIORITY,
    queue: Annotated[str, typer.Option(help="Whose workers may take it.")] = DEFAULT_QUEUE,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Evaluate here and now, without a worker.")
    ] = False,
    as_json: AsJson = False,
) -> int | None:
    """Queue an evaluation on a benchmark, or carry it out here; files by --files or --set."""
    settings = Settings()
    engine = open_store(settings)
    benchmark = {key: str(value) for key, value in overridden({}, settings_given).items()}
    wish = client.wish_of(
        _subject(settings, what, model)
        | {"suite": suite, "folder": files, "files": benchmark}
        | {"batch_size": batch_size, "priority": priority, "queue": queue}
    )
    if foreground:
        client.check_training_packages()
    evaluation_id = client.add_evaluation(
        engine,
        settings,
        wish,
        origin="foreground" if foreground else "queue",
        owner=getpass.getuser(),
    )
    if foreground:
        return evaluate_in_foreground(engine, settings, evaluation_id, as_json=as_json)
    workers = list_workers(engine, datetime.now(UTC))
    if not any(worker.is_alive and queue in worker.queues for worker in workers):
        err.print(f"no worker of queue {queue} is alive, so it waits; start one: rankscope up")
    tell(get_evaluation(engine, evaluation_id), as_json=as_json)
    return None


def evaluate_in_foreground(
    engine: Engine, settings: Settings, evaluation_id: str, *, as_json: bool
) -> int:
    """Carry out an evaluation that has a row, show how far it is, then its score."""
    err.print(f"evaluation {evaluation_id}", markup=False)
    with Interrupts() as interrupts, progress_bar("items") as progress:
        process = client.ForegroundEvaluation(engine, settings, evaluation_id)
        num_items = get_evaluation(engine, evaluation_id).num_items
        task = progress.add_task("starting", total=num_items)
        while process.is_alive():
            _show(progress, task, get_evaluation(engine, evaluation_id))
            time.sleep(POLL_S)
            if interrupts.take():
                err.print("stopping; what was answered stays. Ctrl-C again ends it at once")
                process.stop()
        last = process.outcome()
        _show(progress, task, last)
    tell(last, as_json=as_json)
    if last.status == "failed":
        err.print(f"error: evaluation {last.id} failed: {last.status_reason}", markup=False)
    return EXIT_CODES[last.status]


def _subject(settings: Settings, what: str, model: Path | None) -> dict[str, Any]:
    """Which of the three it is: a file, a folder that holds an adapter, else a run."""
    if Path(what).suffix in (".yaml", ".yml"):
        raw = load_mapping(Path(what))
        return {"model": raw.get("model", raw if "kind" in raw else {})}
    given = {} if model is None else load_mapping(model)
    base = {"model": given.get("model", given)} if given else {}
    is_path = "/" in what or (settings.roots.models / what / CONFIG_NAME).is_file()
    return ({"adapter": what} if is_path else {"run": what}) | base


def _show(progress: Progress, task: TaskID, evaluation: EvaluationRecord) -> None:
    reason = evaluation.status_reason
    progress.update(
        task,
        description=f"{evaluation.status}: {reason}" if reason else evaluation.status,
        total=evaluation.num_items,
        completed=evaluation.num_answered,
    )
