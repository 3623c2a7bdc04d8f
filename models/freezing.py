"""A finished run as the configuration of its controls: what of its result its final ranks explain.

All else stays as it was: model, data, budget, optimizer, steps and the run's own seed.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel

from rankscope.models.config import RunConfig
from rankscope.models.inventory import Inventory
from rankscope.models.rank_bounds import initial_states
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import ModuleState, View
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.uniform import Uniform

Control = Literal["static", "shuffled", "uniform", "dynamic"]
"""``static``: the final ranks from the first step on. Short of the run itself by what moving the
ranks in training was worth; equal to it where only the ranks count.

``shuffled``: the final ranks dealt out at random among modules of equal cost and bounds, so that
parameters and the distribution of ranks stay exactly the same. Short of ``static`` by what it is
worth that these very modules hold the high ranks.

``uniform``: the same rank everywhere. Short of ``static`` by what unequal ranks are worth.

``dynamic``: the original scheduler again, at another seed for instance.

Each keeps the learning-rate factors that the scheduler set, so that ranks alone differ.
"""


def frozen(
    config: RunConfig,
    inventory: Inventory,
    ranks: Mapping[str, int],
    lr_factors: Mapping[str, float] | None,
    *,
    control: Control,
    shuffle_seed: int = 0,
) -> RunConfig:
    """The configuration of a control of a finished run.

    Args:
        config: Of the run.
        inventory: Its modules.
        ranks: With which it ended, one per module.
        lr_factors: Which its scheduler had last set, by module; None or empty if it set none.
        control: Which one; see :data:`Control`.
        shuffle_seed: Of ``shuffled``; equal seeds give equal ranks.

    Raises:
        ValueError: The ranks do not keep the run's budget and bounds, as those of AdaLoRA need not,
            or there is nothing to shuffle.
    """
    budget = config.budget.params(inventory)
    states = tuple(
        state.model_copy(update={"rank": ranks[state.name]})
        for state in initial_states(inventory, config.lora)
    )
    factors = {name: factor for name, factor in (lr_factors or {}).items() if factor != 1}
    made_of = _told(config.scheduler)
    scheduler: AnyScheduler
    match control:
        case "static":
            scheduler = _fixed(ranks, factors, f"final ranks of {made_of}")
        case "shuffled":
            dealt = _shuffled(states, shuffle_seed)
            scheduler = _fixed(dealt, factors, f"final ranks of {made_of}, shuffled")
        case "uniform" if factors:
            origin = f"uniform ranks, learning-rate factors of {made_of}"
            scheduler = _fixed(uniform_ranks(states, budget), factors, origin)
        case "uniform":
            scheduler = Uniform()
        case "dynamic":
            scheduler = config.scheduler
    if isinstance(scheduler, Fixed):
        steps = config.training.steps
        scheduler.check(
            View(step=0, num_steps=steps, budget=budget, seed=config.seed, modules=states)
        )
    raw = config.model_dump(mode="json") | {"scheduler": scheduler.model_dump(mode="json")}
    return RunConfig.model_validate(raw)


def _fixed(ranks: Mapping[str, int], factors: dict[str, float], origin: str) -> Fixed:
    return Fixed(ranks=dict(ranks), lr_factors=factors or None, origin=origin)


def _shuffled(states: tuple[ModuleState, ...], seed: int) -> dict[str, int]:
    """Ranks permuted within each class of equal cost and bounds; pinned modules keep theirs."""
    classes: dict[tuple[int, int, int], list[ModuleState]] = defaultdict(list)
    for state in states:
        if not state.pinned:
            classes[state.cost, state.min_rank, state.max_rank].append(state)
    if all(len({state.rank for state in members}) == 1 for members in classes.values()):
        raise ValueError(
            "shuffled ranks must differ from the final ones, modules of equal cost all ended with "
            "the same rank; choose another control"
        )
    before = {state.name: state.rank for state in states}
    after = dict(before)
    rng = np.random.default_rng(seed)
    while after == before:
        for members in classes.values():
            order = rng.permutation(len(members))
            after |= {
                one.name: members[i].rank for one, i in zip(members, order.tolist(), strict=True)
            }
    return after


def _told(scheduler: BaseModel) -> str:
    """A scheduler in a few words: its kind and the settings that differ from its defaults."""
    if isinstance(scheduler, Fixed):
        return f"fixed ({scheduler.origin})" if scheduler.origin else "fixed"
    settings = scheduler.model_dump(mode="json")
    defaults = type(scheduler).model_validate({}).model_dump(mode="json")
    changed = [f"{key}={value}" for key, value in settings.items() if value != defaults[key]]
    return " ".join([settings["kind"], *changed])
