"""Give evaluations their rows, checked as far as that goes without loading a model."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import Engine

from rankscope.models.adapter_folder import AdapterFolder, check_base, check_fits, read_adapter
from rankscope.models.benchmarks import AnyBenchmark
from rankscope.models.benchmarks.contract import digest_of
from rankscope.models.benchmarks.files import benchmark_in, located, portable
from rankscope.models.evaluation import (
    AdapterSubject,
    AnySubject,
    BaseSubject,
    EvaluationConfig,
    RunSubject,
)
from rankscope.models.events import OPEN_STATUSES
from rankscope.models.reading import ConfigError, parse_part
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm, SmolVlm
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.choices import EvaluationOrigin
from rankscope.storage.evaluations import create_evaluation, requeue_ended_evaluation
from rankscope.storage.inventories import get_linears
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY, get_run, resolve_run
from rankscope.storage.settings import Settings
from rankscope.tasks.asking import wake

_BENCHMARK: TypeAdapter[AnyBenchmark] = TypeAdapter(AnyBenchmark)
_MODEL: TypeAdapter[AnyVlm] = TypeAdapter(AnyVlm)
_WISH_KEYS = ("run", "adapter", "model")


class Wish(BaseModel):
    """What somebody wants evaluated: a run, an adapter on a model, or a model alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str | None = Field(None, max_length=100, description="Id of a run, or its beginning.")
    adapter: str | None = Field(
        None, max_length=4096, description="Folder of a PEFT adapter, under the models root."
    )
    model: dict[str, Any] | None = Field(
        None, description="A model's settings, as in a run's configuration."
    )
    suite: str = Field(max_length=40, description="Which benchmark.")
    folder: str | None = Field(
        None,
        max_length=4096,
        description="Folder of its files under their official names, under the data root.",
    )
    files: dict[str, str] = Field(
        default_factory=dict, description="Single files, folders and settings of the benchmark."
    )
    batch_size: int = Field(8, ge=1, le=1024)
    priority: int = Field(NORMAL_PRIORITY, ge=0, le=9, description="0 is the most urgent.")
    queue: str = Field(DEFAULT_QUEUE, min_length=1, max_length=100)


def wish_of(raw: dict[str, Any]) -> Wish:
    """A wish from its keys.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    return parse_part(TypeAdapter(Wish), raw, "evaluation")


def add_evaluation(
    engine: Engine, settings: Settings, wish: Wish, *, origin: EvaluationOrigin, owner: str
) -> str:
    """Check an evaluation and give it a row; one of the queue wakes the workers. Returns its id.

    All rows of the benchmark's files are read, and every picture must be there.

    Raises:
        ConfigError: It could not run; no row is made.
        StorageError: There is no such run, or none that could be evaluated.
    """
    subject, title = _subject(engine, settings, wish)
    try:
        benchmark = _benchmark(wish, settings.roots)
        items = located(benchmark, settings.roots.data).items()
    except (ValueError, OSError) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    evaluation_id = create_evaluation(
        engine,
        EvaluationConfig(subject=subject, benchmark=benchmark, batch_size=wish.batch_size),
        title=title,
        origin=origin,
        owner=owner,
        num_items=len(items),
        items_digest=digest_of(items),
        priority=wish.priority,
        queue=wish.queue,
    )
    if origin == "queue":
        wake(settings, wish.queue)
    return evaluation_id


def resume_evaluation(engine: Engine, settings: Settings, evaluation_id: str, queue: str) -> None:
    """Let an evaluation that ended, but not as done, go on in the queue.

    Raises:
        StorageError: There is none, it is done, or it has not ended.
    """
    requeue_ended_evaluation(engine, evaluation_id)
    wake(settings, queue)


def _benchmark(wish: Wish, roots: Roots) -> AnyBenchmark:
    raw: dict[str, Any] = {"kind": wish.suite, **wish.files}
    if wish.folder is not None:
        raw = benchmark_in(wish.suite, wish.folder, roots.data, wish.files)
    return portable(parse_part(_BENCHMARK, raw, "benchmark"), roots.data)


def _subject(engine: Engine, settings: Settings, wish: Wish) -> tuple[AnySubject, str]:
    """What is evaluated, and its name for people."""
    if wish.run is not None:
        if wish.adapter is not None or wish.model is not None:
            raise ConfigError(
                "a run brings its own model and adapter, got another beside it; leave that out"
            )
        return _run_subject(engine, settings, resolve_run(engine, wish.run))
    if wish.adapter is not None:
        return _adapter_subject(engine, settings.roots, wish.adapter, wish.model)
    if wish.model is None:
        raise ConfigError(
            f"an evaluation needs one of {', '.join(_WISH_KEYS)}, got none; give what to evaluate"
        )
    model = parse_model(wish.model)
    _check_model(model, settings.roots)
    return BaseSubject(model=model), f"base model {model_name(model)}"


def _run_subject(engine: Engine, settings: Settings, run_id: str) -> tuple[RunSubject, str]:
    run = get_run(engine, run_id)
    run.check_is_ours()
    if run.status in OPEN_STATUSES:
        raise ConfigError(
            f"a run must have ended to be evaluated, {run_id} is {run.status}; wait or stop it"
        )
    checkpoints = RunFolder(settings, run_id).checkpoints(engine)
    if not checkpoints:
        raise ConfigError(
            f"a run needs a checkpoint to be evaluated, {run_id} has none under "
            f"{settings.runs_dir}; let it train longer, or ask on the machine that has its files"
        )
    step = checkpoints[-1].step
    _check_model(run.config.model, settings.roots)
    name = run.config.name or run.config.scheduler.kind
    return RunSubject(run_id=run_id, step=step), f"{name}, step {step:,}"


def _adapter_subject(
    engine: Engine, roots: Roots, folder: str, raw_model: dict[str, Any] | None
) -> tuple[AdapterSubject, str]:
    try:
        path = roots.model_folder(folder)
        adapter = read_adapter(path)
        model = _base_of(adapter, folder) if raw_model is None else parse_model(raw_model)
        _check_model(model, roots)
        check_base(adapter, model.kind, folder)
        linears = known_linears(model) or get_linears(engine, model)
        if linears is not None:
            shapes = {module.name: (module.d_out, module.d_in) for module in linears.modules}
            check_fits(adapter, shapes, folder)
    except ConfigError:
        raise
    except (ValueError, OSError) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    relative = path.relative_to(roots.models.resolve())
    return AdapterSubject(folder=str(relative), model=model), f"adapter {relative}"


def _base_of(adapter: AdapterFolder, folder: str) -> AnyVlm:
    """A base model that needs no settings, where an adapter names it."""
    for model in (EmbeddedVlm(), SmolVlm()):
        if adapter.base == model.kind:
            return model
    raise ConfigError(
        f"an adapter needs its base model, {folder} names {adapter.base or 'none'}; give the "
        "model's settings, as a run's configuration has them under model"
    )


def parse_model(raw: dict[str, Any]) -> AnyVlm:
    """A model's settings.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    model: AnyVlm = parse_part(_MODEL, raw, "model")
    return model


def _check_model(model: AnyVlm, roots: Roots) -> None:
    """Refuse a folder outside the models root, before anything waits for it.

    Raises:
        ConfigError: If it is outside, or no folder.
    """
    try:
        if isinstance(model, HubVlm):
            roots.model_source(model.source)
        elif isinstance(model, MobileVlm):
            roots.model_folder(model.folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def model_name(model: AnyVlm) -> str:
    """What people call a model."""
    if isinstance(model, HubVlm):
        return Path(model.source).name if model.source.startswith("/") else model.source
    return f"MobileVLM {model.size}" if isinstance(model, MobileVlm) else model.kind
