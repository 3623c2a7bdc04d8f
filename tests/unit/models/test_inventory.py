"""What can be adapted, what it costs, and what a target pattern selects."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.models.inventory import AdaptableModule, Inventory, Linears, Part


def module(name: str, d_in: int, d_out: int, part: Part = "language") -> AdaptableModule:
    return AdaptableModule(
        name=name, part=part, layer=0, type=name.rpartition(".")[2], d_in=d_in, d_out=d_out
    )


LINEARS = Linears(
    modules=(
        module("vision_tower.layers.0.fc1", 6, 10, "vision"),
        module("projector.linear_1", 6, 8, "projector"),
        module("model.layers.0.q_proj", 8, 8),
        module("model.layers.0.up_proj", 8, 24),
    ),
    params_by_part={"vision": 300, "projector": 100, "language": 600},
)


def names(inventory: Inventory) -> list[str]:
    return [module.name for module in inventory.modules]


def test_one_rank_costs_a_row_and_a_column() -> None:
    """q_proj: 8 + 8 = 16; up_proj: 8 + 24 = 32; together 48.

    Ranks 2 and 3: 2 * 16 + 3 * 32 = 128.
    """
    inventory = LINEARS.select("q_proj|up_proj", frozenset({"language"}))
    assert [module.cost for module in inventory.modules] == [16, 32]
    assert inventory.params_per_rank == 48
    assert inventory.params({"model.layers.0.q_proj": 2, "model.layers.0.up_proj": 3}) == 128


def test_modules_left_out_of_the_ranks_cost_nothing() -> None:
    inventory = LINEARS.select(".*", frozenset({"language"}))
    assert inventory.params({}) == 0
    assert inventory.params({"model.layers.0.up_proj": 1}) == 32


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_costs_add_up_over_modules(ranks: Sequence[int]) -> None:
    inventory = LINEARS.select(".*", frozenset({"vision", "projector", "language"}))
    one_by_one = [
        inventory.params({name: rank}) for name, rank in zip(names(inventory), ranks, strict=True)
    ]
    assert inventory.params(dict(zip(names(inventory), ranks, strict=True))) == sum(one_by_one)


def test_the_pattern_must_match_the_whole_last_component_and_keeps_model_order() -> None:
    both = LINEARS.select("up_proj|q_proj", frozenset({"language"}))
    assert names(both) == ["model.layers.0.q_proj", "model.layers.0.up_proj"]
    assert both.total_params == 1000
    with pytest.raises(ValueError, match="got 'proj'"):
        LINEARS.select("proj", frozenset({"language"}))


def test_only_the_chosen_parts_are_looked_at() -> None:
    chosen = LINEARS.select(".*", frozenset({"vision", "projector"}))
    assert names(chosen) == ["vision_tower.layers.0.fc1", "projector.linear_1"]


def test_a_pattern_that_matches_nothing_is_told_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"parts \['language'\], got 'fc1'; available there: q_proj, up_proj$"
    ):
        LINEARS.select("fc1", frozenset({"language"}))


def test_a_broken_pattern_is_told_why() -> None:
    with pytest.raises(ValueError, match=r"a regular expression, got '\(' .*; write for instance"):
        LINEARS.select("(", frozenset({"language"}))


def test_no_part_at_all_selects_no_module_and_any_rank_of_it_is_free() -> None:
    chosen = LINEARS.select("q_proj", frozenset())
    assert chosen == Inventory(modules=(), total_params=LINEARS.total_params)
    assert chosen.params_per_rank == chosen.params({}) == 0
