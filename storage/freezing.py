"""Controls of a recorded run: its final ranks, and the learning-rate factors it ended with."""

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.freezing import Control, frozen
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.contract import Apply
from rankscope.storage import history
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import get_run


def freeze_run(
    engine: Engine, run_id: str, *, control: Control, shuffle_seed: int | None = None
) -> RunConfig:
    """The configuration of a control of a finished run, to be launched like any other.

    Args:
        engine: The database.
        run_id: The run.
        control: Which control.
        shuffle_seed: Of ``shuffled`` only; 0 by default.

    Raises:
        ConfigError: The run's ranks cannot be trained from the start, or a seed without effect.
        RunRefusedError: The run is not done, has no ranks, or Rankscope does not train it.
        UnknownRunError: If there is no such run.
    """
    if shuffle_seed is not None and control != "shuffled":
        raise ConfigError(
            f"a seed decides how ranks are shuffled, control {control} has no use for "
            f"{shuffle_seed}; leave it out or choose shuffled"
        )
    run = get_run(engine, run_id)
    config = run.config
    if run.status != "done":
        raise RunRefusedError(
            f"only a run that is done has final ranks, {run_id} is {run.status} at step "
            f"{run.step:,} of {run.num_steps:,}; wait for its end or resume it"
        )
    ranks = history.rank_map(engine, run_id)
    if not ranks or run.inventory is None:
        raise RunRefusedError(
            f"only a run with adapters has ranks to freeze, {run_id} trained by "
            f"{config.scheduler.kind} without; choose another run"
        )
    factors = [
        decided.decision.lr_factors
        for decided in history.decisions(engine, run_id)
        if isinstance(decided.decision, Apply) and decided.decision.lr_factors is not None
    ]
    try:
        return frozen(
            config,
            run.inventory,
            ranks,
            factors[-1] if factors else None,
            control=control,
            shuffle_seed=shuffle_seed or 0,
        )
    except ValueError as error:  # says rule, value and remedy itself
        raise ConfigError(str(error)) from error
