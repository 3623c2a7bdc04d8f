import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.contract import Apply, Decision, Keep, ModuleState, View
from rankscope.models.schedulers.para import Para


def module(
    name: str,
    values: tuple[float, ...] | None,
    *,
    d_out: int = 8,
    min_rank: int = 0,
    multiple: int = 1,
    pinned: bool = False,
) -> ModuleState:
    rank = len(values or ())
    return ModuleState(
        name=name,
        part="language",
        layer=0,
        type=name,
        d_in=8,
        d_out=d_out,
        rank=rank,
        min_rank=rank if pinned else min_rank,
        max_rank=rank,
        pinned=pinned,
        multiple=multiple,
        singular_values=values,
    )


def view_of(modules: tuple[ModuleState, ...], step: int = 100) -> View:
    budget = sum(m.cost * m.rank for m in modules)
    return View(step=step, num_steps=100, budget=budget, seed=0, modules=modules)


def decide(keep_fraction: float, *modules: ModuleState) -> Decision:
    return Para(keep_fraction=keep_fraction).plan(view_of(modules), {})[0]


def test_it_decides_once_after_the_last_step() -> None:
    assert Para().decision_steps(150) == (150,)


def test_one_threshold_for_all_modules_keeps_the_largest_singular_values() -> None:
    """Six ranks of 16: half is 48, three ranks: 9, 8 and 5; b's 4 is the first to fall."""
    decision = decide(0.5, module("a", (9.0, 8.0, 1.0)), module("b", (5.0, 4.0, 0.5)))
    assert isinstance(decision, Apply)
    assert decision.ranks == {"a": 2, "b": 1}
    assert decision.reason == "singular values above 4 kept: 48 of 96 params"
    assert "keeps 99.3%" in decision.reasons["a"].text


def test_the_threshold_stops_at_the_first_that_does_not_fit() -> None:
    """b's 8 costs 24 and does not fit in 16 + 16; a's 1 would, but lies below the threshold."""
    wide = module("b", (8.0,), d_out=16)
    decision = decide(0.5, module("a", (9.0, 1.0)), wide)
    assert isinstance(decision, Apply)
    assert decision.ranks == {"a": 1, "b": 0}


def test_minimum_and_pinned_ranks_are_kept_first() -> None:
    held = module("a", (0.2, 0.1), min_rank=1)
    pinned = module("b", (0.3,), pinned=True)
    decision = decide(0.5, held, pinned, module("c", (9.0, 8.0, 7.0)))
    assert isinstance(decision, Apply)
    assert decision.ranks == {"a": 1, "b": 1, "c": 1}


def test_multiples_are_kept_by_the_mean_of_their_values() -> None:
    """Means 5.5 and 0.5 of a, 5 of b: half of six ranks is three, so one step of two fits."""
    decision = decide(
        0.5, module("a", (10.0, 1.0, 0.9, 0.1), multiple=2), module("b", (5.0, 5.0), multiple=2)
    )
    assert isinstance(decision, Apply)
    assert decision.ranks == {"a": 2, "b": 0}


def test_without_usable_singular_values_the_ranks_are_kept() -> None:
    for values in (None, (0.0, 0.0), (1.0, float("nan"))):
        assert isinstance(decide(0.5, module("a", values)), Keep)


def test_a_share_below_the_minimum_ranks_is_refused_before_training() -> None:
    modules = (module("a", (1.0, 1.0), min_rank=1), module("b", (1.0, 1.0), min_rank=1))
    with pytest.raises(ValueError, match=r"leave the 32 parameters .* got 0.25 of 64; raise it"):
        Para(keep_fraction=0.25).check(view_of(modules, step=0))
    Para(keep_fraction=0.5).check(view_of(modules, step=0))


@given(
    values=st.lists(st.lists(st.floats(0, 1e6), max_size=5), min_size=1, max_size=8),
    sides=st.lists(st.sampled_from([4, 8, 24]), min_size=8, max_size=8),
    keep_fraction=st.floats(0.01, 0.99),
)
@settings(max_examples=100, deadline=None)
def test_what_is_kept_lies_above_what_goes_and_within_the_share(
    values: list[list[float]], sides: list[int], keep_fraction: float
) -> None:
    modules = tuple(
        module(f"m{i}", tuple(sorted(v, reverse=True)), d_out=sides[i])
        for i, v in enumerate(values)
    )
    decision = decide(keep_fraction, *modules)
    if isinstance(decision, Keep):
        return
    assert isinstance(decision, Apply)
    params = sum(m.cost * decision.ranks[m.name] for m in modules)
    assert params <= keep_fraction * view_of(modules).budget
    kept = [v for m in modules for v in (m.singular_values or ())[: decision.ranks[m.name]]]
    gone = [v for m in modules for v in (m.singular_values or ())[decision.ranks[m.name] :]]
    assert not kept or not gone or min(kept) >= max(gone)
