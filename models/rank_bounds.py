"""What a run's settings allow every module: bounds, pins, multiples, and what they cost at least.

Without torch: a plan, a form and the training process ask the same functions.
"""

from collections.abc import Sequence

from rankscope.models.config import LoraSettings
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.pins import pinned_ranks
from rankscope.models.schedulers.contract import ModuleState


def initial_states(inventory: Inventory, settings: LoraSettings) -> tuple[ModuleState, ...]:
    """The modules as a planner sees them before any rank is given: at their least rank.

    Raises:
        ValueError: Pins or bounds contradict each other or the modules' shapes.
    """
    pins = pinned_ranks(settings.pins, inventory.modules)
    states = []
    for module in inventory.modules:
        highest = highest_rank(module, settings)
        pinned = pins.get(module.name)
        least = settings.min_rank if pinned is None else pinned
        if least > highest:
            field = "lora.min_rank" if pinned is None else "lora.pins"
            raise ValueError(
                f"{field} must not exceed the largest rank of each module, got {least} where "
                f"{module.name} ({module.d_in} x {module.d_out}) has at most {highest}; lower it"
            )
        states.append(
            ModuleState(
                **module.model_dump(),
                rank=least,
                min_rank=least,
                max_rank=highest if pinned is None else pinned,
                pinned=pinned is not None,
                multiple=settings.rank_multiple,
            )
        )
    return tuple(states)


def highest_rank(module: AdaptableModule, settings: LoraSettings) -> int:
    """Largest rank of a module: the setting's, or all that its matrix has, down to a multiple."""
    highest = min(settings.max_rank, module.d_in, module.d_out)
    return highest - highest % settings.rank_multiple


def check_budget(states: Sequence[ModuleState], budget: int) -> None:
    """Refuse a budget that pays for no adapter beside those it has to pay for.

    Args:
        states: As from :func:`initial_states`.
        budget: In parameters.

    Raises:
        ValueError: Saying rule, value and remedy.
    """
    pinned = sum(m.cost * m.rank for m in states if m.pinned)
    least = sum(m.cost * m.min_rank for m in states)
    if budget < least and not pinned:
        raise ValueError(
            f"budget must pay for lora.min_rank={states[0].min_rank} on every module "
            f"({least:,} parameters), got {budget:,}; raise the budget or lower lora.min_rank"
        )
    if budget < least:
        raise ValueError(
            f"budget must pay for the ranks of lora.pins and lora.min_rank ({pinned:,} + "
            f"{least - pinned:,} parameters), got {budget:,}; raise the budget or lower the pins"
        )
    steps = {m.cost * m.multiple: m.multiple for m in states if m.max_rank > m.min_rank}
    if not steps and not least:
        raise ValueError(
            "at least one module must be able to hold an adapter, lora.pins, lora.max_rank and "
            "lora.rank_multiple leave none; remove a pin or lower the multiple"
        )
    if not steps or least > pinned:
        return
    cheapest = min(steps)
    if budget - pinned < cheapest:
        beside = f" beside the {pinned:,} of lora.pins" if pinned else ""
        remedy = "raise it or remove pins" if pinned else "raise it"
        raise ValueError(
            f"budget must pay for rank {steps[cheapest]} on at least one module "
            f"({cheapest:,} parameters){beside}, got {budget:,}; {remedy}"
        )
