"""Give runs their rows, checked as far as that goes without training."""

from collections.abc import Sequence

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.inventory import Inventory, Linears
from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.vlms import SmolVlm
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.choices import Origin
from rankscope.storage.inventories import get_linears, put_linears
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY, create_run
from rankscope.storage.settings import Settings
from rankscope.tasks.asking import wake
from rankscope.tasks.costing import Cost, cost_of
from rankscope.tasks.offline import resolve_offline, wanted_by
from rankscope.tasks.planning import Plan, plan_run
from rankscope.tasks.processes import JobFailed, answer_of

MAX_SEEDS = 100
"""At once; more is taken for a mistyped number."""


def submit(
    engine: Engine,
    settings: Settings,
    config: RunConfig,
    *,
    owner: str,
    seeds: Sequence[int] | None = None,
    idempotency_key: str | None = None,
    priority: int = NORMAL_PRIORITY,
    queue: str = DEFAULT_QUEUE,
) -> list[str]:
    """Put a config's runs into the queue and wake its workers.

    Args:
        engine: The database.
        settings: Where Redis is; without it the runs wait until a worker looks by itself.
        config: What to run.
        owner: Account or user name.
        seeds: One run each; None takes the config's own.
        idempotency_key: The same key always gives the same runs.
        priority: 0 is the most urgent, 9 can wait.
        queue: Whose workers may take them.

    Returns:
        The runs' ids, in the order of the seeds.

    Raises:
        ConfigError: The config could not run, or the seeds make no sense; no row is made.
        RunRefusedError: The key belongs to runs of another config.
    """
    _check_seeds(seeds)
    raw = config.model_dump(mode="json")
    configs = [config] if seeds is None else [parse_config(raw | {"seed": seed}) for seed in seeds]
    run_ids = [
        add_run(
            engine,
            one,
            origin="queue",
            owner=owner,
            idempotency_key=None if idempotency_key is None else f"{idempotency_key}/{number}",
            priority=priority,
            queue=queue,
        )
        for number, one in enumerate(configs)
    ]
    wake(settings, queue)
    return run_ids


def add_run(
    engine: Engine,
    config: RunConfig,
    *,
    origin: Origin,
    owner: str,
    idempotency_key: str | None = None,
    priority: int = NORMAL_PRIORITY,
    queue: str = DEFAULT_QUEUE,
) -> str:
    """Check a run as far as that goes without training, and give it a row; returns its id.

    Raises:
        ConfigError: It could not run; no row is made.
        RunRefusedError: The key belongs to a run of another config.
    """
    if "\\u0000" in config.model_dump_json():
        raise ConfigError(
            "texts must not hold the character NUL, which PostgreSQL cannot keep; remove it"
        )
    inventory = inventory_of(config, engine)
    offline = resolve_offline(engine, wanted_by(config), inventory.modules)
    return create_run(
        engine,
        config,
        origin=origin,
        owner=owner,
        idempotency_key=idempotency_key,
        priority=priority,
        queue=queue,
        inventory=inventory,
        budget_params=plan_run(config, inventory, offline).budget_params,
    )


def plan(config: RunConfig, engine: Engine | None = None) -> Plan:
    """What a run would do.

    Args:
        config: What to run.
        engine: The database, where offline performance models are; None plans without one.

    Raises:
        ConfigError: It could not run.
        OtherVersionError: Its offline model was learned by an incompatible version.
    """
    linears = _linears_of(config, engine)
    inventory = _select(config, linears)
    offline = None
    if engine is not None:
        offline = resolve_offline(engine, wanted_by(config), inventory.modules)
    other = sum(linears.params_by_part[part] for part in config.training.full_parts)
    planned = plan_run(config, inventory, offline, other_trainable_params=other)
    if isinstance(config.model, SmolVlm):
        return planned.model_copy(update={"model_note": config.model.remark})
    return planned


def cost(
    config: RunConfig, planned: Plan, settings: Settings, engine: Engine | None = None
) -> Cost:
    """What a run would cost: memory, time, disk; nothing is downloaded or trained for it.

    Args:
        config: What to run.
        planned: The answer of `plan` to it.
        settings: Where its data lie.
        engine: The database with past runs; None goes without.

    Raises:
        ConfigError: The model cannot be read.
    """
    return cost_of(config, planned, _linears_of(config, engine), settings, engine)


def inventory_of(config: RunConfig, engine: Engine | None = None) -> Inventory:
    """The modules a run adapts.

    A model whose files have to tell is read by a process of its own, which takes seconds, and
    remembered in the database.

    Raises:
        ConfigError: The targets match nothing, or the model cannot be read.
    """
    return _select(config, _linears_of(config, engine))


def _select(config: RunConfig, linears: Linears) -> Inventory:
    try:
        return linears.select(config.lora.targets, config.lora.parts)
    except ValueError as error:
        raise ConfigError(f"lora.{error}") from error


def _linears_of(config: RunConfig, engine: Engine | None) -> Linears:
    known = known_linears(config.model)
    if known is not None:
        return known
    remembered = None if engine is None else get_linears(engine, config.model)
    if remembered is not None and remembered.sizes is not None:
        return remembered
    try:
        answer = answer_of("listing", config.model.model_dump_json(), config=config)
    except JobFailed as error:
        field, _, _ = str(error).partition(" ")
        is_named = field in type(config.model).model_fields
        raise ConfigError(f"model.{error}" if is_named else str(error)) from error
    linears = Linears.model_validate_json(answer)
    if engine is not None:
        put_linears(engine, config.model, linears)
    return linears


def _check_seeds(seeds: Sequence[int] | None) -> None:
    if seeds is None:
        return
    if not 1 <= len(seeds) <= MAX_SEEDS:
        raise ConfigError(
            f"seeds must be 1 to {MAX_SEEDS} numbers, got {len(seeds)}; submit the rest apart"
        )
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds must be distinct, got {list(seeds)}; remove the repeated one")
