"""What an event from outside must fulfil beyond its type: what could never be stored or shown."""

import math
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Evaluated,
    Event,
    Measured,
    ParamsSampled,
    RanksChanged,
    Resumed,
    StatusChanged,
    StepDone,
)
from rankscope.models.external import MAX_STEPS
from rankscope.models.inventory import Inventory
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.contract import Apply
from rankscope.storage.packing import MAX_PACKED

MAX_MODULES = 20_000
"""Far more than the largest dense models have; a page draws a cell for each."""
_LARGEST_COUNT = 2**63 - 1
"""What a column of large whole numbers holds."""
_LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_MAX_NAME_LENGTH = 500
_STATUSES = ("starting", "running", "paused", "done", "failed", "stopped")


def check_inventory(inventory: Inventory) -> None:
    """Refuse modules that ranks could not be kept of.

    Raises:
        ConfigError: Rule, value and remedy.
    """
    modules = inventory.modules
    if len(modules) > MAX_MODULES:
        raise ConfigError(
            f"an inventory must not have more than {MAX_MODULES:,} modules, got {len(modules):,}; "
            "adapt fewer"
        )
    if len({module.name for module in modules}) < len(modules):
        raise ConfigError("the modules of an inventory must have distinct names, one is repeated")
    if any(len(module.name) > _MAX_NAME_LENGTH for module in modules):
        raise ConfigError(f"a module's name must not exceed {_MAX_NAME_LENGTH} characters")
    if max(inventory.params_per_rank * MAX_PACKED, inventory.total_params) > _LARGEST_COUNT:
        raise ConfigError("an inventory's parameters must be countable in 63 bits; correct it")


def check_events(events: Sequence[Event], names: Collection[str]) -> None:
    """Refuse a batch for its first event that does not fit.

    Args:
        events: What somebody says happened.
        names: The run's modules.

    Raises:
        ConfigError: The event's place in the batch, rule, value and remedy.
    """
    for place, event in enumerate(events):
        problem = _problem(event, names)
        if problem:
            raise ConfigError(f"events.{place} ({event.kind}): {problem}")


def _problem(event: Event, names: Collection[str]) -> str | None:
    """What is wrong with one event; None if nothing is."""
    if event.step > MAX_STEPS:
        return f"step must be at most {MAX_STEPS:,}, got {event.step:,}; lower it"
    if not 0 <= event.time <= _LAST_MOMENT:
        return f"time must be seconds since 1970, got {event.time:g}; correct it"
    return _problem_of_kind(event, names)


def _problem_of_kind(event: Event, names: Collection[str]) -> str | None:
    problem: str | None = None
    match event:
        case Resumed() | CheckpointSaved():
            problem = "only runs that Rankscope trains say this; leave it out"
        case StatusChanged() if event.status not in _STATUSES:
            known = ", ".join(_STATUSES)
            problem = f"status must be one of {known}, got {event.status}; change it"
        case RanksChanged():
            counts = (event.moved_params, event.live_params)
            problem = _problem_of_ranks(event.ranks, names) or _uncountable(*counts)
        case Decided():
            seen = {module.name for module in event.view.modules}
            ranks = event.decision.ranks if isinstance(event.decision, Apply) else {}
            problem = _unknown(seen, names) or _problem_of_ranks(ranks, seen)
        case ParamsSampled():
            problem = _uncountable(event.live_params, event.sample)
        case StepDone():
            problem = _not_finite(event.step_s)
        case Measured():
            problem = _uncountable(event.cost_items) or _not_finite(event.cost_s)
        case Evaluated():
            problem = _not_finite(event.duration_s, *event.accuracy_by_skill.values())
        case _:
            pass
    return problem


def _problem_of_ranks(ranks: dict[str, int], names: Collection[str]) -> str | None:
    wrong = [rank for rank in ranks.values() if not 0 <= rank <= MAX_PACKED]
    if wrong:
        return f"a rank must lie in 0..{MAX_PACKED:,}, got {wrong[0]:,}; correct it"
    return _unknown(ranks.keys(), names)


def _unknown(named: Collection[str], names: Collection[str]) -> str | None:
    strangers = sorted(name for name in named if name not in names)
    if strangers:
        return f"modules must be of the run's inventory, got {strangers[0][:100]!r}; leave it out"
    return None


def _uncountable(*counts: int) -> str | None:
    if max(counts) > _LARGEST_COUNT:
        return f"a count must be below 2^63, got {max(counts):,}; correct it"
    return None


def _not_finite(*numbers: float) -> str | None:
    if not all(math.isfinite(number) for number in numbers):
        return "durations and scores must be finite numbers; leave the others out"
    return None
