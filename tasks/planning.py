"""What a run would do, without training: its modules, its budget in parameters, its first ranks."""

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.config import BYTES_PER_PARAM, RunConfig
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.rank_bounds import check_budget, initial_states
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.checked import PlannerError, checked
from rankscope.models.schedulers.contract import Apply, Keep, RankPlanner, View
from rankscope.models.schedulers.full import Full

ADAM_MOMENTS = 2
"""Tensors that AdamW keeps beside every trained one."""


class PlannedModule(AdaptableModule):
    """A module with the rank it would start at."""

    rank: int


class MemoryEstimate(BaseModel):
    """Bytes that training holds for sure, activations left out."""

    model_config = ConfigDict(frozen=True)

    base_weights_bytes: int
    adapters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int


class Plan(BaseModel):
    """The answer of ``rankscope plan``."""

    model_config = ConfigDict(frozen=True)

    scheduler: str
    modules: tuple[PlannedModule, ...]
    params: int = Field(description="Adapter parameters at the first ranks.")
    budget_params: int
    equivalent_rank: float = Field(description="The budget as the same rank everywhere.")
    total_params: int = Field(description="Of the base model.")
    ranks_decided_at_steps: tuple[int, ...]
    ranks_are_final: bool = Field(description="Whether the ranks shown stay to the end.")
    note: str
    memory: MemoryEstimate


def plan_run(config: RunConfig, inventory: Inventory) -> Plan:
    """Resolve the budget and ask the scheduler for its first ranks.

    Raises:
        ConfigError: Pins and bounds contradict each other or the modules, the budget is below what
            they or one module need, or the scheduler cannot run with these modules and steps.
    """
    budget = config.budget.params(inventory)
    try:
        ranks, note, steps = _first_ranks(config, inventory, budget)
    except (ValueError, PlannerError) as error:  # these say rule, value and remedy themselves
        raise ConfigError(str(error)) from error
    params = inventory.params(ranks)
    trained = inventory.total_params if isinstance(config.scheduler, Full) else params
    return Plan(
        scheduler=config.scheduler.kind,
        modules=tuple(
            PlannedModule(**module.model_dump(), rank=ranks[module.name])
            for module in inventory.modules
        ),
        params=params,
        budget_params=budget,
        equivalent_rank=round(budget / inventory.params_per_rank, 4),
        total_params=inventory.total_params,
        ranks_decided_at_steps=steps,
        ranks_are_final=not note,
        note=note,
        memory=MemoryEstimate(
            base_weights_bytes=BYTES_PER_PARAM * inventory.total_params,
            adapters_bytes=BYTES_PER_PARAM * params,
            gradients_bytes=BYTES_PER_PARAM * trained,
            optimizer_bytes=ADAM_MOMENTS * BYTES_PER_PARAM * trained,
        ),
    )


def _first_ranks(
    config: RunConfig, inventory: Inventory, budget: int
) -> tuple[dict[str, int], str, tuple[int, ...]]:
    """Ranks, a note where they will change, and the steps of decisions."""
    if isinstance(config.scheduler, Full):
        return dict.fromkeys((m.name for m in inventory.modules), 0), "trains without adapters", ()
    states = initial_states(inventory, config.lora)
    check_budget(states, budget)
    ranks = uniform_ranks(states, budget)
    if isinstance(config.scheduler, AdaLora):
        config.scheduler.schedule(config.training.steps)  # refuses a run too short to prune
        return ranks, "starts above these ranks and masks down to them", ()
    assert isinstance(config.scheduler, RankPlanner)
    num_steps = config.training.steps
    view = View(
        step=0,
        num_steps=num_steps,
        budget=budget,
        seed=config.seed,
        modules=tuple(state.model_copy(update={"rank": ranks[state.name]}) for state in states),
    )
    config.scheduler.check(view)
    steps = config.scheduler.decision_steps(num_steps)
    if 0 not in steps:
        return ranks, f"uniform, decided at step {steps[0]}" if steps else "", steps
    decision, _ = checked(config.scheduler, view, config.scheduler.plan(view, {}))
    match decision:
        case Apply():
            ranks |= decision.ranks
        case Keep():
            pass
        case _:
            return ranks, "uniform, decided at step 0 from a measurement", steps
    later = [step for step in steps if step > 0]
    return ranks, f"decided again at step {later[0]}" if later else "", steps
