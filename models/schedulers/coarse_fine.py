"""Ranks in two levels: a budget for every layer, then its split over the layer's modules.

HyDRA's method section could not be read (ALGORITHMS.md 1.1): known is that coarse ranks differ by
layer and fine ones within a layer. How layers get their budgets here is ours.

Shape letters: M modules, R successive ranks of a module, L layers.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rankscope.models.inventory import FloatArray, IntArray, Part
from rankscope.models.schedulers.allocation import (
    allocate,
    bounds_of,
    costs_of,
    log_gains,
    multiple_of,
)
from rankscope.models.schedulers.contract import ModuleState


def coarse_fine(
    modules: Sequence[ModuleState],
    utilities_M: FloatArray,
    budget: int,
    pull: Mapping[tuple[Part, int], float],
    share_bounds: tuple[float, float],
) -> IntArray:
    """Ranks for the utility u * log(1 + rank), with layer budgets held near equal where unsure.

    Coarse: a layer's value curve is the best that its modules make of a budget, so that the exact
    flat optimum is also the optimum over layer budgets; each layer's spending there is pulled
    towards its equal share by ``pull`` (0 not, 1 fully) and clipped. Fine: the exact split
    of each layer's budget. At last the exact solver gives what is left over to the best increments
    that still fit.

    Args:
        modules: In order.
        utilities_M: At least 0.
        budget: Parameters; never exceeded.
        pull: Per (part, layer), 0 to 1.
        share_bounds: Smallest and largest layer budget as multiples of the equal share. They bind
            before the leftover is handed out, and give way to minimum and maximum ranks.

    Returns:
        ranks_M.

    Raises:
        ValueError: If the minimum and pinned ranks exceed the budget.
    """
    costs_M = costs_of(modules)
    low_M, high_M = bounds_of(modules)
    gains_MR = log_gains(utilities_M, high_M)
    multiple = multiple_of(modules)
    flat_M = allocate(
        gains_MR, costs_M, budget, min_ranks_M=low_M, max_ranks_M=high_M, multiple=multiple
    )
    layers = list(dict.fromkeys((m.part, m.layer) for m in modules))
    inside_LM = np.array([[(m.part, m.layer) == layer for m in modules] for layer in layers])
    pull_L = np.array([pull[layer] for layer in layers])

    spent_L = inside_LM @ (costs_M * flat_M)
    equal_L = budget * (inside_LM @ costs_M) / costs_M.sum()
    least_L, most_L = inside_LM @ (costs_M * low_M), inside_LM @ (costs_M * high_M)
    share_L = (1 - pull_L) * spent_L + pull_L * equal_L
    share_L = np.clip(share_L, share_bounds[0] * equal_L, share_bounds[1] * equal_L)
    extra_L = np.clip(share_L, least_L, most_L) - least_L
    extra_L *= min(1.0, (budget - least_L.sum()) / max(extra_L.sum(), 1.0))
    fine_M = low_M.copy()
    for layer, layer_budget in enumerate(least_L + np.floor(extra_L)):
        rows = np.flatnonzero(inside_LM[layer])
        fine_M[rows] = allocate(
            gains_MR[rows],
            costs_M[rows],
            int(layer_budget),
            min_ranks_M=low_M[rows],
            max_ranks_M=high_M[rows],
            multiple=multiple,
        )
    return allocate(
        gains_MR, costs_M, budget, min_ranks_M=fine_M, max_ranks_M=high_M, multiple=multiple
    )


def levelled(
    modules: Sequence[ModuleState], utilities_M: FloatArray, *, coarse: bool, fine: bool
) -> FloatArray:
    """Utilities with a level switched off, for what is then in proportion to cost.

    Without ``coarse`` every layer's sum is; without ``fine`` every module's within its layer is.
    Ranks that are optimal for utilities in proportion to cost are uniform.
    """
    costs_M = costs_of(modules)
    worth_M: FloatArray = utilities_M.astype(np.float64)
    places = [(m.part, m.layer) for m in modules]
    for layer in dict.fromkeys(places):
        rows = np.array([place == layer for place in places])
        if not fine:
            worth_M[rows] = worth_M[rows].sum() * costs_M[rows] / costs_M[rows].sum()
        if not coarse:
            worth_M[rows] *= costs_M[rows].sum() / max(float(worth_M[rows].sum()), 1e-300)
    return worth_M


def moved_params(costs_M: IntArray, old_M: IntArray, new_M: IntArray) -> float:
    """Half of the parameters that differ: what left one place and came to another."""
    return float(costs_M @ np.abs(new_M - old_M)) / 2


def step_towards(
    start_M: IntArray,
    target_M: IntArray,
    *,
    utilities_M: FloatArray,
    costs_M: IntArray,
    budget: int,
    limit_params: float,
    multiple: int = 1,
) -> IntArray:
    """Go from ``start_M`` towards ``target_M``, best rises and cheapest cuts first.

    Each rise by ``multiple`` ranks is made together with the cuts that make room for it, as long as
    the parameters moved stay within ``limit_params``. Both ends must keep the budget and differ by
    multiples, and so does every step.
    """
    gains_MR = log_gains(utilities_M, np.maximum(start_M, target_M)) / costs_M[:, None]

    def gain(row: int, rank: int) -> float:
        return float(gains_MR[row, rank : rank + multiple].sum())

    rises = [(m, r) for m in range(start_M.size) for r in range(start_M[m], target_M[m], multiple)]
    cuts = [(m, r) for m in range(start_M.size) for r in range(target_M[m], start_M[m], multiple)]
    rises.sort(key=lambda mr: (-gain(*mr), mr))
    cuts.sort(key=lambda mr: (gain(*mr), -mr[0], -mr[1]))
    ranks_M = start_M.copy()
    num_cut = 0
    for row, _ in rises:
        trial_M, num_trial = ranks_M.copy(), num_cut
        trial_M[row] += multiple
        while costs_M @ trial_M > budget:
            trial_M[cuts[num_trial][0]] -= multiple
            num_trial += 1
        if moved_params(costs_M, start_M, trial_M) > limit_params:
            break
        ranks_M, num_cut = trial_M, num_trial
    return ranks_M
