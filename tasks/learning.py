"""Learn offline performance models from the runs that a database holds; asked for, or by itself."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, NamedTuple

import structlog
from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import Engine

from rankscope.models.inventory import AdaptableModule
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.offline.learning import TooFewRunsError, learn
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.models.schedulers.offline.shipped import shipped_models
from rankscope.storage.learned_models import list_models, store_model
from rankscope.storage.past_runs import (
    RecordedArchitecture,
    num_done,
    past_runs,
    recorded_architectures,
)
from rankscope.tasks.offline import RESERVED_NAMES

log = structlog.get_logger()

_NAME = TypeAdapter(Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)])


class Learnt(NamedTuple):
    """A model, how many runs of its architecture there are, and why some were left out."""

    model: OfflineModel
    num_runs: int
    left_out: dict[str, str]


def learn_from_runs(
    engine: Engine,
    *,
    modules: Sequence[AdaptableModule] | None = None,
    without_families: Sequence[str] = (),
    name: str | None = None,
) -> Learnt:
    """Learn from all recorded runs of one architecture.

    Args:
        engine: Where the runs are.
        modules: What the runs adapt; None takes the architecture of most runs.
        without_families: Families of tasks that the model must know nothing of.
        name: The model's; None makes one of the architecture and the families left out.

    Raises:
        ConfigError: There is too little to learn from, or a name makes no sense.
    """
    architecture = _architecture(engine, modules)
    without = sorted(set(without_families))
    material = past_runs(engine, architecture)
    _check_families(without, sorted({run.family for run in material.runs}))
    kept = [run for run in material.runs if run.family not in without]
    left_out = material.left_out | {
        run.id: f"of the family {run.family}, which is to be left out"
        for run in material.runs
        if run.family in without
    }
    try:
        learned = learn(
            kept,
            architecture.modules,
            name=_checked_name(name or "-without-".join([architecture.key, *without])),
            created_at=datetime.now(UTC),
            code_version=version("rankscope"),
        )
    except TooFewRunsError as error:
        raise ConfigError(str(error)) from error
    return Learnt(learned.model, architecture.num_runs, left_out | learned.left_out)


def keep_learned(engine: Engine, model: OfflineModel) -> None:
    """Store a model in place of an earlier one of its name.

    Raises:
        ConfigError: The name belongs to a shipped model.
    """
    if model.name in shipped_models():
        raise ConfigError(
            f"--name must not be a shipped model's, got {model.name!r}; choose another, or write "
            "a file with --out"
        )
    store_model(engine, model)


class AutomaticLearning:
    """A worker's: learns again when enough runs of an architecture have ended since the last time.

    Learning takes seconds of a core and has a thread of its own: the worker's heartbeat must not
    wait for it. What goes wrong is logged, and tried again when more runs have ended.

    Args:
        engine: The database.
        every_runs: Learn when so many have ended since; 0 never does.
    """

    def __init__(self, engine: Engine, *, every_runs: int) -> None:
        self._engine, self._every_runs = engine, every_runs
        self._num_seen = 0
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begin to learn if there is something new; returns at once."""
        if not self._every_runs or (self._thread and self._thread.is_alive()):
            return
        num = num_done(self._engine)
        if num == self._num_seen:
            return
        self._num_seen = num
        self._thread = threading.Thread(target=self._learn, name="learning", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until nothing is being learned."""
        if self._thread is not None:
            self._thread.join()

    def _learn(self) -> None:
        try:
            for model in learn_what_is_due(self._engine, self._every_runs):
                log.info("learned from past runs", model=model.name, useful=model.is_useful)
        except Exception as error:  # noqa: BLE001 - learning must never end a worker
            log.warning("learning from past runs fails", reason=" ".join(str(error).split()))


def learn_what_is_due(engine: Engine, every_runs: int) -> list[OfflineModel]:
    """Learn about every architecture of which ``every_runs`` have ended since its last model."""
    last = {row.name: row.created_at for row in list_models(engine)}
    models = []
    for architecture in recorded_architectures(engine):
        name = f"auto-{architecture.key}"
        if num_done(engine, architecture, since=last.get(name)) < every_runs:
            continue
        try:
            learnt = learn_from_runs(engine, modules=architecture.modules, name=name)
        except ConfigError as error:
            log.info("not learned from past runs", model=name, reason=str(error))
            continue
        keep_learned(engine, learnt.model)
        models.append(learnt.model)
    return models


def _architecture(
    engine: Engine, modules: Sequence[AdaptableModule] | None
) -> RecordedArchitecture:
    recorded = recorded_architectures(engine)
    if not recorded:
        raise ConfigError(
            "learning needs recorded runs that are done, the database has none; run some, for "
            "instance with scheduler random and several draws"
        )
    if modules is None:
        return recorded[0]
    key = Architecture.of(modules).key
    for one in recorded:
        if one.key == key:
            return one
    known = ", ".join(f"{one.key} ({one.num_runs})" for one in recorded)
    raise ConfigError(
        f"learning needs runs of the architecture asked for, there are none of {key}; runs that "
        f"are done by architecture: {known}"
    )


def _check_families(without: Sequence[str], known: Sequence[str]) -> None:
    """A mistyped family would be learned from in silence."""
    unknown = [family for family in without if family not in known]
    if unknown:
        raise ConfigError(
            f"--without-family must name a family of the recorded runs, got {unknown[0]!r}; there "
            f"are: {', '.join(known) or 'none'}"
        )


def _checked_name(name: str) -> str:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise ConfigError(
            "--name must be of at most 100 letters, digits, dots, dashes and underscores and begin "
            f"with a letter or digit, got {name!r}; change it"
        ) from error
    if name in RESERVED_NAMES:
        raise ConfigError(f"--name must not be {name!r}, which has a meaning; choose another")
    return name
