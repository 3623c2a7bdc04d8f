"""What a run would get, before it is launched: the answer to every change of the form."""

from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.app.form.budget import equivalents
from rankscope.app.form.problems import Problems, problems_beside_fields
from rankscope.app.form.targets import is_read
from rankscope.app.form.values import Values, mapping_of
from rankscope.app.form.yaml_text import command_of, yaml_of
from rankscope.app.plots.rank_map import rank_map
from rankscope.models.budgets import BYTES_PER_PARAM
from rankscope.models.config import RunConfig
from rankscope.models.inventory import Inventory, Linears
from rankscope.models.reading import ConfigError, parse_config
from rankscope.storage.errors import StorageError
from rankscope.storage.settings import Settings
from rankscope.tasks import client
from rankscope.tasks.client import Plan

SEEDS_KEY = "num_seeds"
"""The one thing asked that is not part of a configuration: how many runs, by consecutive seeds."""
MAX_SEEDS = client.MAX_SEEDS


class Filled(NamedTuple):
    """A form as far as it is right: a configuration and its seeds, or what is wrong with it.

    ``is_waiting``: nothing is wrong, but the model's files have not told yet what it is made of.
    """

    config: RunConfig | None
    seeds: tuple[int, ...]
    problems: Problems
    is_waiting: bool = False


def read_form(
    values: Values, engine: Engine | None = None, lists: client.ModelLists | None = None
) -> Filled:
    """Validate all that stands in a form; every problem is found, not only the first.

    Args:
        values: The form.
        engine: The database; without it, names of what was learned from past runs are taken as
            they are.
        lists: What models offer to adapt; without it a model's files are waited for.
    """
    problems: Problems = {}
    config, is_waiting = None, False
    try:
        config = parse_config(mapping_of(values))
        is_waiting = lists is not None and not is_read(config.model, lists)
        if not is_waiting:
            _planned(engine, config)
    except ConfigError as error:
        problems |= problems_beside_fields(error, values)
    except SQLAlchemyError:
        is_waiting = True  # the page says on top that the database does not answer
    seeds = _seeds(values, config)
    if isinstance(seeds, str):
        problems[SEEDS_KEY] = [seeds]
        seeds = ()
    has_config = not problems and not is_waiting
    return Filled(config if has_config else None, seeds, problems, is_waiting and not problems)


def preview(engine: Engine, filled: Filled, settings: Settings) -> dict[str, Any]:
    """What the page shows of a form: JSON, for ``ui/new.js``."""
    config = filled.config
    if config is None:
        waits = {"is_waiting": filled.is_waiting}
        return {"problems": filled.problems, "plan": None, **waits}
    inventory = client.inventory_of(config, engine)
    planned = _planned(engine, config)
    return {
        "problems": {},
        "is_waiting": False,
        "plan": _plan(planned, config, inventory),
        "cost": _cost(engine, config, planned, settings),
        "yaml": yaml_of(config),
        "command": command_of(config, len(filled.seeds)),
        "seeds": filled.seeds,
    }


def budget_texts(values: Values, lists: client.ModelLists | None = None) -> dict[str, str]:
    """The budget by unit, for the units that are not chosen; empty if it cannot be told yet.

    What else is wrong in the form does not matter here.
    """
    raw = mapping_of(values)
    try:
        config = parse_config({key: raw[key] for key in ("model", "data", "budget", "lora")})
        texts = equivalents(config.budget, _inventory(config, lists))
    except (ValueError, SQLAlchemyError):
        return {}
    return {unit: text for unit, text in texts.items() if unit != config.budget.unit}


def _inventory(config: RunConfig, lists: client.ModelLists | None) -> Inventory:
    if lists is None:
        return client.inventory_of(config)
    linears = lists.look(config.model)
    if not isinstance(linears, Linears):
        raise ConfigError("the model's list of modules must be read first; wait for it")
    return linears.select(config.lora.targets, config.lora.parts)


def _seeds(values: Values, config: RunConfig | None) -> tuple[int, ...] | str:
    """Consecutive seeds from the configuration's, or a refusal."""
    typed = str(values[SEEDS_KEY]).strip()
    if not typed.isdecimal() or not 1 <= int(typed[:9]) <= MAX_SEEDS:
        return f"Must be a whole number from 1 to {MAX_SEEDS}, got {typed[:40]!r}; change it"
    first, number = config.seed if config else 0, int(typed)
    if first + number > 2**32:
        return f"The last seed must be below 2^32, got {first} + {number - 1}; lower the first"
    return tuple(range(first, first + number))


def _planned(engine: Engine | None, config: RunConfig) -> Plan:
    try:
        return client.plan(config, engine)
    except SQLAlchemyError:
        return client.plan(config)  # the page says on top that the database does not answer
    except StorageError as error:
        raise ConfigError(str(error)) from error


def _plan(plan: Plan, config: RunConfig, inventory: Inventory) -> dict[str, Any]:
    ranks = [module.rank for module in plan.modules]
    # The scale of the run's own map, so that both show the same colour for the same rank.
    sides = (min(config.lora.max_rank, m.d_in, m.d_out) for m in inventory.modules)
    largest = max(sides, default=0)
    title = "Rank of every adapter at the start"
    figure = rank_map(inventory.modules, ranks, max_rank=largest, title=title)
    return plan.model_dump(mode="json", exclude={"modules"}) | {
        "has_adapters": any(ranks) or config.scheduler.kind != "full",
        "budget_bytes": BYTES_PER_PARAM * plan.budget_params,
        "num_modules": len(ranks),
        "num_adapted": sum(rank > 0 for rank in ranks),
        "num_steps": config.training.steps,
        "figure": figure.to_plotly_json(),
    }


def _cost(engine: Engine, config: RunConfig, planned: Plan, settings: Settings) -> dict[str, Any]:
    try:
        cost = client.cost(config, planned, settings, engine)
    except SQLAlchemyError:
        cost = client.cost(config, planned, settings)
    return cost.model_dump(mode="json")
