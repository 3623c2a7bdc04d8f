from collections.abc import Sequence
from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.contract import Apply, ModuleState, View
from rankscope.models.schedulers.random_ranks import RandomRanks


def ranks_of(
    modules: tuple[ModuleState, ...],
    budget: int,
    *,
    draw: int = 0,
    seed: int = 0,
    by: Literal["modules", "groups"] = "modules",
) -> dict[str, int]:
    view = View(step=0, num_steps=100, budget=budget, seed=seed, modules=modules)
    decision, _ = RandomRanks(draw=draw, by=by).plan(view, {})
    assert isinstance(decision, Apply)
    return decision.ranks


@given(
    budget=st.integers(0, 300_000),
    draw=st.integers(0, 1000),
    by=st.sampled_from(["modules", "groups"]),
)
@settings(max_examples=60, deadline=None)
def test_the_budget_is_used_up_as_far_as_whole_ranks_fit(
    embedded: tuple[ModuleState, ...], budget: int, draw: int, by: Literal["modules", "groups"]
) -> None:
    ranks = ranks_of(embedded, budget, draw=draw, by=by)
    left = budget - sum(m.cost * ranks[m.name] for m in embedded)
    assert left >= 0
    assert all(m.cost > left for m in embedded if ranks[m.name] < m.max_rank)


def means(values_M: FloatArray, keys: Sequence[object]) -> FloatArray:
    """Per module the mean over those with its key."""
    same_MM = np.array([[float(one == other) for other in keys] for one in keys])
    means_M: FloatArray = same_MM @ values_M / same_MM.sum(axis=1)
    return means_M


def test_drawn_by_groups_layers_and_types_go_together(embedded: tuple[ModuleState, ...]) -> None:
    places = ([(m.part, m.layer) for m in embedded], [(m.part, m.type) for m in embedded])

    def explained(by: Literal["modules", "groups"]) -> float:
        """Share of the variance of log ranks within layers' and types' means, over 20 draws."""
        shares = []
        for draw in range(20):
            ranks = ranks_of(embedded, 8 * 13056, draw=draw, by=by)
            log_M = np.log1p([ranks[m.name] for m in embedded])
            log_M -= log_M.mean()
            fitted_M = np.sum([means(log_M, keys) for keys in places], axis=0)
            shares.append(1 - float(np.var(log_M - fitted_M) / np.var(log_M)))
        return float(np.mean(shares))

    assert explained("groups") > explained("modules") + 0.2


def test_draws_and_seeds_give_other_ranks_and_repeat(embedded: tuple[ModuleState, ...]) -> None:
    first = ranks_of(embedded, 13056)
    assert first == ranks_of(embedded, 13056)
    assert first != ranks_of(embedded, 13056, draw=1)
    assert first != ranks_of(embedded, 13056, seed=1)
