"""One budget in every unit that a budget can be given in."""

from rankscope.models.budgets import BYTES_PER_PARAM, Budget
from rankscope.models.inventory import Inventory


def equivalents(budget: Budget, inventory: Inventory) -> dict[str, str]:
    """By unit, the shortest number that gives exactly the same parameters."""
    params = budget.params(inventory)
    per_unit = {
        "rank": inventory.params_per_rank,
        "params": 1,
        "megabytes": 1e6 / BYTES_PER_PARAM,
    }
    return {unit: _shortest(params, size) for unit, size in per_unit.items()}


def _shortest(params: int, size: float) -> str:
    """The fewest digits whose number times ``size``, rounded down, is ``params``."""
    for digits in range(1, 18):
        # The middle of all numbers that are rounded down to params, and its lower end.
        for exact in (params / size, (params + 0.5) / size):
            text = f"{exact:.{digits}g}"
            if int(float(text) * size) == params:
                return _plain(text)
    return repr(params / size)


def _plain(text: str) -> str:
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
