"""What a run would do, without training: its modules, its budget in parameters, its first ranks."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.config import RunConfig
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.rank_bounds import check_budget, initial_states
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.checked import PlannerError, checked
from rankscope.models.schedulers.contract import Apply, Keep, ModuleState, RankPlanner, View
from rankscope.models.schedulers.dora import Dora
from rankscope.models.schedulers.eva import Eva
from rankscope.models.schedulers.full import Full
from rankscope.models.schedulers.lora_ga import LoraGa
from rankscope.models.schedulers.offline.model import OfflineModel


class PlannedModule(AdaptableModule):
    """A module with the rank it would start at."""

    rank: int


class Plan(BaseModel):
    """Modules, budget and first ranks: the answer of ``rankscope plan`` without the cost."""

    model_config = ConfigDict(frozen=True)

    scheduler: str
    modules: tuple[PlannedModule, ...]
    params: int = Field(description="Adapter parameters at the first ranks.")
    budget_params: int
    equivalent_rank: float = Field(description="The budget as the same rank everywhere.")
    other_trainable_params: int = Field(description="Trained in full beside the adapters.")
    total_params: int = Field(description="Of the base model.")
    ranks_decided_at_steps: tuple[int, ...]
    ranks_are_final: bool = Field(description="Whether the ranks shown stay to the end.")
    note: str
    model_note: str = Field("", description="What to know about the base model's weights.")


def plan_run(
    config: RunConfig,
    inventory: Inventory,
    offline: OfflineModel | None = None,
    *,
    other_trainable_params: int = 0,
) -> Plan:
    """Resolve the budget and ask the scheduler for its first ranks.

    Raises:
        ConfigError: Pins and bounds contradict each other or the modules, the budget is below what
            they or one module need, or the scheduler cannot run with these modules and steps.
    """
    budget = config.budget.params(inventory)
    try:
        ranks, note, steps = _first_ranks(config, inventory, budget, offline)
    except (ValueError, PlannerError) as error:  # these say rule, value and remedy themselves
        raise ConfigError(str(error)) from error
    params = _params(config, inventory, ranks)
    return Plan(
        scheduler=config.scheduler.kind,
        modules=tuple(
            PlannedModule(**module.model_dump(), rank=ranks[module.name])
            for module in inventory.modules
        ),
        params=params,
        budget_params=budget,
        equivalent_rank=round(budget / (inventory.params_per_rank or 1), 4),
        other_trainable_params=other_trainable_params,
        total_params=inventory.total_params,
        ranks_decided_at_steps=steps,
        ranks_are_final=not note,
        note=note,
    )


_FirstRanks = tuple[dict[str, int], str, tuple[int, ...]]
"""Ranks, a note where they will change, and the steps of decisions."""


def _first_ranks(
    config: RunConfig, inventory: Inventory, budget: int, offline: OfflineModel | None
) -> _FirstRanks:
    scheduler, modules = config.scheduler, inventory.modules
    if isinstance(scheduler, Full):
        return dict.fromkeys((m.name for m in modules), 0), "trains without adapters", ()
    states = initial_states(inventory, config.lora)
    check_budget(states, budget)
    ranks = uniform_ranks(states, budget)
    note = ""
    match scheduler:
        case RankPlanner():
            at_uniform = [s.model_copy(update={"rank": ranks[s.name]}) for s in states]
            return _planned(config, scheduler, at_uniform, budget, offline)
        case Dora() | LoraGa():
            ranks = scheduler.ranks(states, budget)
        case Eva():
            note = "uniform, shared out anew before step 1 from training data"
        case AdaLora():
            scheduler.schedule(config.training.steps)  # refuses a run too short to prune
            note = "starts above these ranks and masks down to them"
            if scheduler.live_budget == "held":
                start = scheduler.start(modules, budget)
                ranks = start.ranks(modules)
                note = f"masks down to {start.target_triplets} of these ranks in all"
    return ranks, note, ()


def _planned(
    config: RunConfig,
    planner: RankPlanner,
    modules: Sequence[ModuleState],
    budget: int,
    offline: OfflineModel | None,
) -> _FirstRanks:
    """What a planner makes of the uniform ranks at step 0."""
    ranks = {module.name: module.rank for module in modules}
    num_steps = config.training.steps
    view = View(
        step=0,
        num_steps=num_steps,
        budget=budget,
        seed=config.seed,
        modules=tuple(modules),
        offline=offline,
    )
    planner.check(view)
    steps = planner.decision_steps(num_steps)
    if 0 not in steps:
        return ranks, f"uniform, decided at step {steps[0]}" if steps else "", steps
    decision, _ = checked(planner, view, planner.plan(view, {}))
    match decision:
        case Apply():
            ranks |= decision.ranks
        case Keep():
            pass
        case _:
            return ranks, "uniform, decided at step 0 from a measurement", steps
    later = [step for step in steps if step > 0]
    return ranks, f"decided again at step {later[0]}" if later else "", steps


def _params(config: RunConfig, inventory: Inventory, ranks: Mapping[str, int]) -> int:
    """Adapter parameters at these ranks, with all that a scheduler trains beside A and B."""
    params = inventory.params(dict(ranks))
    match config.scheduler:
        case Dora() as dora:
            return dora.params(inventory.modules, ranks)
        case AdaLora(live_budget="held"):
            return params + sum(ranks.values())  # one E per rank
        case _:
            return params
