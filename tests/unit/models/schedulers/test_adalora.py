from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

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
