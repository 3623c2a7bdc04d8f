"""LoRA-GA's ranks: uniform, as far as a matrix has twice as many directions."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.lora_ga import LoraGa


def states(*, min_rank: int = 0) -> list[ModuleState]:
    """8 x 4 and 8 x 16: 12 and 24 parameters per rank."""
    return [
        ModuleState(
            name=f"layers.{i}.up",
            part="language",
            layer=i,
            type="up",
            d_in=8,
            d_out=d_out,
            rank=0,
            min_rank=min_rank,
            max_rank=min(8, d_out),
            pinned=False,
        )
        for i, d_out in enumerate((4, 16))
    ]


@pytest.mark.parametrize(("budget", "ranks"), [(36, [1, 1]), (72, [2, 2]), (500, [2, 4])])
def test_ranks_are_uniform_up_to_half_of_what_a_matrix_has(budget: int, ranks: list[int]) -> None:
    assert list(LoraGa().ranks(states(), budget).values()) == ranks


def test_a_least_rank_above_that_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 3 where layers\.0\.up allows 2; lower it"):
        LoraGa().ranks(states(min_rank=3), 500)


def test_it_is_found_by_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyScheduler)
    assert adapter.validate_python({"kind": "lora_ga"}) == LoraGa()
