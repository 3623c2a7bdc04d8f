"""Which offline performance model a run begins with."""

from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.models.schedulers.offline.shipped import best_of, shipped_models
from rankscope.storage.learned_models import get_model, list_models, newest_model

ANY, NONE = "auto", "none"
RESERVED_NAMES = frozenset({ANY, NONE})

OfflineFor = Callable[[Inventory], OfflineModel | None]
"""The offline model for a run's modules, once they are known."""


def resolve_offline(
    engine: Engine | None, wanted: str, modules: Sequence[AdaptableModule]
) -> OfflineModel | None:
    """The offline model that a planner wants.

    ``auto`` takes, of the run's architecture, the newest useful one in the database, else the
    useful shipped one of most families, else the newest in the database that is not useful but
    knows the best static rule, else none. A name may also mean a model of the same kind with other
    depths or widths.

    Args:
        engine: Where learned models are; without it only shipped ones are known.
        wanted: ``auto``, ``none`` or a name.
        modules: What the run adapts.

    Raises:
        ConfigError: No model has this name, or it is of another architecture.
        OtherVersionError: It was learned by an incompatible version.
    """
    if wanted == NONE:
        return None
    if wanted == ANY:
        return _best_there_is(engine, modules)
    model = shipped_models().get(wanted)
    if model is None and engine is not None:
        model = get_model(engine, wanted)
    if model is None:
        raise ConfigError(
            f"scheduler.offline must be {ANY}, {NONE} or the name of an offline model, got "
            f"{wanted!r}; there are: {', '.join(known_names(engine)) or 'none yet'}"
        )
    unknown = model.architecture.stranger(modules)
    if unknown is not None:
        raise ConfigError(
            "scheduler.offline must name a model of the run's architecture, "
            f"{wanted!r} knows nothing of {unknown}; choose {ANY}, {NONE} or another model"
        )
    return model


def _best_there_is(
    engine: Engine | None, modules: Sequence[AdaptableModule]
) -> OfflineModel | None:
    shipped = best_of(shipped_models().values(), modules)
    if engine is None:
        return shipped
    return (
        newest_model(engine, modules, is_useful=True)
        or shipped
        or newest_model(engine, modules, is_useful=False)
    )


def known_names(engine: Engine | None) -> list[str]:
    """Names of shipped and of learned models."""
    learned = [] if engine is None else [row.name for row in list_models(engine)]
    return sorted({*shipped_models(), *learned})


def wanted_by(config: RunConfig) -> str:
    """Which one a run's scheduler wants; those that are no planners want none."""
    planner = config.scheduler
    return planner.wanted_offline if isinstance(planner, RankPlanner) else NONE


def told(model: OfflineModel | None, wanted: str) -> str:
    """A line for people about what a run begins with."""
    if model is None:
        return f"no offline performance model ({wanted})"
    learned = f"learned from {model.provenance.num_runs} runs of {', '.join(model.families)}"
    start = "useful" if model.is_useful else f"not useful, {model.fallback} ranks instead"
    return f"offline performance model {model.name} ({wanted}): {learned}; {start}"
