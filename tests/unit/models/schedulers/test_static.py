import pytest
from pydantic import ValidationError

from rankscope.models.schedulers.contract import Apply, ModuleState, View
from rankscope.models.schedulers.static import Static, Where

BUDGET = 13056


def ranks_of(planner: Static, modules: tuple[ModuleState, ...]) -> dict[str, int]:
    view = View(step=0, num_steps=100, budget=BUDGET, seed=0, modules=modules)
    decision, _ = planner.plan(view, {})
    assert isinstance(decision, Apply)
    return decision.ranks


@pytest.mark.parametrize(
    ("where", "layers", "types"),
    [
        ("mlp", range(6), {"gate_proj", "up_proj", "down_proj"}),
        ("attention", range(6), {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("late_mlp", range(3, 6), {"gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_only_the_selected_modules_share_the_budget(
    embedded: tuple[ModuleState, ...], where: Where, layers: range, types: set[str]
) -> None:
    ranks = ranks_of(Static(where=where), embedded)
    chosen = {m.name for m in embedded if m.layer in layers and m.type in types}
    assert {name for name, rank in ranks.items() if rank} == chosen
    assert max(ranks[n] for n in chosen) - min(ranks[n] for n in chosen) <= 1
    assert 0 <= BUDGET - sum(m.cost * ranks[m.name] for m in embedded) < 384


def test_mlp_only_at_the_budget_of_rank_one_gives_rank_two_to_most(
    embedded: tuple[ModuleState, ...],
) -> None:
    """13,056 parameters over 18 MLP modules of 384: 34 ranks, two modules short of 2 each."""
    ranks = ranks_of(Static(), embedded)
    assert sorted(ranks.values()) == [0] * 24 + [1] * 2 + [2] * 16


def test_late_is_the_half_that_is_not_early(embedded: tuple[ModuleState, ...]) -> None:
    five_layers = tuple(m for m in embedded if m.layer < 5)
    ranks = ranks_of(Static(where="late"), five_layers)
    assert {m.layer for m in five_layers if ranks[m.name]} == {3, 4}


def test_a_pattern_is_found_anywhere_in_the_path(embedded: tuple[ModuleState, ...]) -> None:
    ranks = ranks_of(Static(where="pattern", pattern=r"layers\.[45].*(o|down)_proj$"), embedded)
    assert len([rank for rank in ranks.values() if rank]) == 4


def test_unselected_modules_keep_their_minimum_and_pins(embedded: tuple[ModuleState, ...]) -> None:
    pinned = embedded[0].model_copy(update={"pinned": True, "min_rank": 1, "max_rank": 1})
    least = embedded[1].model_copy(update={"min_rank": 3})
    ranks = ranks_of(Static(), (pinned, least, *embedded[2:]))
    assert ranks[pinned.name] == 1
    assert ranks[least.name] == 3


def test_which_modules_share_the_budget_can_be_asked(embedded: tuple[ModuleState, ...]) -> None:
    selected = Static(where="late_mlp").selected(embedded)
    assert selected == {m.name for m in embedded if m.layer >= 3 and m.d_out == 256}
    assert Static(where="pattern", pattern="fc9").selected(embedded) == frozenset()


def test_a_pattern_without_effect_is_refused() -> None:
    with pytest.raises(ValidationError, match="pattern has an effect with where: pattern only"):
        Static(where="mlp", pattern="q_proj")


def test_where_pattern_without_a_pattern_is_refused() -> None:
    with pytest.raises(ValidationError, match="where: pattern needs a pattern"):
        Static(where="pattern")


def test_a_broken_pattern_is_refused_with_its_error() -> None:
    with pytest.raises(ValidationError, match=r"pattern must be a regular expression, got '\('"):
        Static(where="pattern", pattern="(")


def test_a_rule_that_selects_nothing_is_refused_with_the_types_there_are(
    embedded: tuple[ModuleState, ...],
) -> None:
    with pytest.raises(ValueError, match=r"pattern 'fc9' selects none of the types down_proj, "):
        ranks_of(Static(where="pattern", pattern="fc9"), embedded)
