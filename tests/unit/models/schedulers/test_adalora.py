from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.full import Full


@given(
    num_steps=st.integers(2, 100_000),
    warmup=st.floats(0, 0.99),
    final=st.floats(0, 0.99),
)
def test_pruning_always_has_a_step_as_peft_demands(
    num_steps: int, warmup: float, final: float
) -> None:
    if warmup + final >= 1:
        return
    adalora = AdaLora(warmup_fraction=warmup, final_fraction=final)
    schedule = adalora.schedule(num_steps)
    assert 0 <= schedule.warmup_steps < num_steps - schedule.final_steps
    assert schedule.interval_steps >= 1


@given(equivalent_rank=st.floats(0, 512), factor=st.floats(1.01, 8))
def test_the_target_is_the_floor_and_the_start_lies_above_it(
    equivalent_rank: float, factor: float
) -> None:
    adalora = AdaLora(init_rank_factor=factor)
    target = adalora.target_rank(equivalent_rank)
    assert target == max(1, int(equivalent_rank))
    assert adalora.init_rank(equivalent_rank) > target


SIDES = st.integers(1, 40)


def modules_of(shapes: list[tuple[int, int]]) -> list[AdaptableModule]:
    return [
        AdaptableModule(
            name=f"layers.{i}.up", part="language", layer=i, type="up", d_in=d_in, d_out=d_out
        )
        for i, (d_in, d_out) in enumerate(shapes)
    ]


@given(
    shapes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=12),
    budget=st.integers(1, 2000),
    factor=st.floats(1.01, 8),
)
def test_held_to_the_budget_it_starts_within_it_and_has_something_to_prune(
    shapes: list[tuple[int, int]], budget: int, factor: float
) -> None:
    modules = modules_of(shapes)
    adalora = AdaLora(live_budget="held", init_rank_factor=factor)
    try:
        start = adalora.start(modules, budget)
    except ValueError as error:
        assert "raise it" in str(error)  # noqa: PT017 - too small a budget is refused in words
        return
    ranks = start.ranks(modules)
    live = sum((module.cost + 1) * ranks[module.name] for module in modules)
    assert live <= budget
    assert 1 <= start.target_triplets < sum(ranks.values())
    if len(start.names) == len(modules):
        everywhere = sum(module.cost + 1 for module in modules)
        assert budget - live < everywhere


def test_held_to_rank_one_it_leaves_out_the_cheapest_module_that_pays_for_e() -> None:
    """Rank 1 on 8 and 18 parameters with E: 28 of 26, so the first goes; one triplet is too few.

    With a third module of 4 that one goes: 33 of 30 parameters, 5 are enough; int(2 / 1.5) = 1.
    """
    modules = modules_of([(3, 5), (9, 9)])
    with pytest.raises(ValueError, match=r"at least 2 triplets to prune one, got 26 parameters"):
        AdaLora(live_budget="held").start(modules, 26)
    modules = modules_of([(3, 5), (9, 9), (2, 2)])
    start = AdaLora(live_budget="held").start(modules, 30)
    assert (start.names, start.rank, start.target_triplets) == (
        ("layers.0.up", "layers.1.up"),
        1,
        1,
    )
    assert start.ranks(modules) == {"layers.0.up": 1, "layers.1.up": 1, "layers.2.up": 0}


def test_held_to_a_larger_budget_its_target_is_a_share_of_what_it_starts_with() -> None:
    """100 parameters: 9 and 19 with E; three times 28 fit, 6 triplets; 6 / 1.5 = 4 are kept."""
    start = AdaLora(live_budget="held").start(modules_of([(3, 5), (9, 9)]), 100)
    assert (start.rank, start.target_triplets) == (3, 4)


def test_as_peft_has_it_the_target_is_a_whole_rank_everywhere() -> None:
    """2.9 ranks of 26: target 2 on both modules, start ceil(1.5 * 2) = 3."""
    start = AdaLora().start(modules_of([(3, 5), (9, 9)]), 75)
    assert (start.rank, start.target_triplets) == (3, 4)


def test_fractions_without_room_for_pruning_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"must be below 1, got 0\.6 \+ 0\.4; lower one"):
        AdaLora(warmup_fraction=0.6, final_fraction=0.4)


def test_a_run_of_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 steps to prune, got 1"):
        AdaLora().schedule(1)


def test_schedulers_that_train_by_themselves_are_found_by_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyScheduler)
    assert adapter.validate_python({"kind": "adalora"}) == AdaLora()
    assert adapter.validate_python({"kind": "full"}) == Full()
