from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.contract import Apply, Decision, Keep, Memory, ModuleState, View
from rankscope.models.schedulers.elalora import ElaLora

RTE = ElaLora(ranks_per_event=2, ranks_per_module=2, grace_events=0)
FIRST = 17
"""First move of 100 steps: 15 of warm-up and an interval of 2.5, rounded to even."""


def module(
    name: str, saliency: Sequence[float], *, d_out: int = 8, min_rank: int = 0, multiple: int = 1
) -> ModuleState:
    return ModuleState(
        name=name,
        part="language",
        layer=0,
        type=name,
        d_in=8,
        d_out=d_out,
        rank=len(saliency),
        min_rank=min_rank,
        max_rank=8,
        saliency=tuple(saliency),
        multiple=multiple,
    )


def decide(
    planner: ElaLora,
    modules: Sequence[ModuleState],
    *,
    step: int = FIRST,
    slack: int = 0,
    memory: Memory | None = None,
) -> tuple[Decision, Memory]:
    budget = sum(m.cost * m.rank for m in modules) + slack
    view = View(step=step, num_steps=100, budget=budget, seed=0, modules=tuple(modules))
    return planner.plan(view, memory or {})


def ranks_of(answer: tuple[Decision, Memory]) -> dict[str, int]:
    decision, _ = answer
    assert isinstance(decision, Apply), decision
    return decision.ranks


def test_the_weakest_go_to_the_modules_whose_weakest_are_strongest() -> None:
    """Pools of two each: a 1 2, b 3 9, c 8 9.5. Out: a's 1 and 2. In: c (9.5), then b (9)."""
    modules = [module("a", (2, 7, 1)), module("b", (9, 3, 20)), module("c", (30, 8, 9.5))]
    assert ranks_of(decide(RTE, modules)) == {"a": 1, "b": 4, "c": 4}


def test_a_module_gives_and_gets_at_most_its_share_of_one_move() -> None:
    """a's third weakest is not in the pool, nor c's: b's 6 is the second to go."""
    one_each = ElaLora(ranks_per_event=2, ranks_per_module=1, grace_events=0)
    modules = [
        module("a", (1, 2, 3)),
        module("b", (6, 7, 20)),
        module("c", (40, 30, 50)),
        module("d", (41, 31, 51)),
    ]
    assert ranks_of(decide(one_each, modules)) == {"a": 2, "b": 2, "c": 4, "d": 4}


def test_growth_lives_on_what_pruning_frees_in_parameters() -> None:
    """Two ranks of a free 2 * 16. c costs 24, so it gets one, and the 8 over pay for nobody."""
    modules = [module("a", (1, 2, 7)), module("c", (30, 8, 9.5), d_out=16)]
    assert ranks_of(decide(RTE, modules)) == {"a": 1, "c": 4}
    with_slack = decide(RTE, modules, slack=16)
    assert ranks_of(with_slack) == {"a": 1, "c": 5}


def test_nothing_is_pruned_where_nothing_could_grow() -> None:
    """The freed 16 do not pay for c's 24."""
    single = ElaLora(ranks_per_event=1, grace_events=0)
    decision, memory = decide(single, [module("a", (1, 2)), module("c", (30, 8), d_out=16)])
    assert isinstance(decision, Keep)
    assert memory == {}


def test_minimum_ranks_are_kept_and_may_grow() -> None:
    modules = [
        module("a", (1, 2), min_rank=1),
        module("b", (3, 4), min_rank=1),
        module("c", (50,), min_rank=1),
        module("d", (60,), min_rank=1),
    ]
    assert ranks_of(decide(RTE, modules)) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_steps_of_several_ranks_score_their_mean() -> None:
    """Blocks of a: (1, 2) and (3, 40); of c: (8, 9) and (10, 11)."""
    modules = [module("a", (40, 1, 3, 2), multiple=2), module("c", (8, 9, 10, 11), multiple=2)]
    single = ElaLora(ranks_per_event=1, ranks_per_module=1, grace_events=0)
    assert ranks_of(decide(single, modules)) == {"a": 2, "c": 6}


def test_a_module_that_grew_is_spared_for_the_moves_of_its_grace() -> None:
    planner = ElaLora(ranks_per_event=1, ranks_per_module=1, grace_events=1)
    _, memory = decide(planner, [module("a", (1, 2)), module("c", (30, 8)), module("b", (5, 6))])
    grown = [module("a", (2,)), module("c", (30, 8, 0)), module("b", (5, 6))]
    spared = ranks_of(decide(planner, grown, step=19, memory=memory))
    assert spared == {"a": 0, "b": 3}
    after = ranks_of(decide(planner, grown, step=21, memory=memory))
    assert after["c"] == 2
    impatient = ElaLora(ranks_per_event=1, ranks_per_module=1, grace_events=0)
    assert ranks_of(decide(impatient, grown, step=19, memory=memory))["c"] == 2


def test_moves_begin_after_the_warm_up_and_fall_to_none() -> None:
    """100 steps: warm-up 15, rest from 75. Step 45 is half-way: 4 * (1 - 1/8) = 3.5, so 4.

    Step 61: 4 * (1 - (46/60)^3) = 2.2.
    """
    planner = ElaLora(ranks_per_event=4, ranks_per_module=4, grace_events=0)
    assert planner.decision_steps(100)[:3] == (0, 17, 19)
    assert planner.decision_steps(100)[-1] == 73
    weak, strong = module("a", (1, 2, 3, 4, 5, 6)), module("z", (9, 9, 9, 9, 9))
    pruned = {
        step: 6 - ranks_of(decide(planner, [weak, strong], step=step))["a"] for step in (17, 45, 61)
    }
    assert pruned == {17: 4, 45: 4, 61: 2}
    assert isinstance(decide(planner, [weak, strong], step=73)[0], Keep)


def test_runs_too_short_for_a_move_keep_their_ranks() -> None:
    assert ElaLora().decision_steps(1) == (0,)
    assert isinstance(decide(ElaLora(), [module("a", (1, 2))], step=0)[0], Keep)


def test_without_usable_saliency_the_ranks_are_kept() -> None:
    blind = module("a", (1, 2)).model_copy(update={"saliency": None})
    assert isinstance(decide(RTE, [blind])[0], Keep)
    broken = [module("a", (1, float("nan"))), module("b", (3, 4))]
    assert isinstance(decide(RTE, broken)[0], Keep)


@given(
    scores=st.lists(st.lists(st.floats(0, 1e6), max_size=6), min_size=1, max_size=8),
    sides=st.lists(st.sampled_from([4, 8, 24]), min_size=8, max_size=8),
    slack=st.integers(0, 60),
    num_ranks=st.integers(1, 9),
)
@settings(max_examples=100, deadline=None)
def test_parameters_never_exceed_the_budget_and_growth_has_stronger_scores(
    scores: list[list[float]], sides: list[int], slack: int, num_ranks: int
) -> None:
    modules = [module(f"m{i}", s, d_out=sides[i]) for i, s in enumerate(scores)]
    planner = ElaLora(ranks_per_event=num_ranks, grace_events=0)
    decision, _ = decide(planner, modules, slack=slack)
    if isinstance(decision, Keep):
        return
    assert isinstance(decision, Apply)
    before = {m.name: m for m in modules}
    change = {name: rank - before[name].rank for name, rank in decision.ranks.items()}
    assert sum(before[name].cost * moved for name, moved in change.items()) <= slack
    assert all(abs(moved) <= 2 for moved in change.values())
    assert all(0 <= rank <= 8 for rank in decision.ranks.values())
    strongest = {name: max(sorted(before[name].saliency or ())[:2]) for name in change}
    weakest = {name: min(before[name].saliency or ()) for name in change}
    for giver, moved in change.items():
        for taker, gained in change.items():
            if moved < 0 < gained:
                assert weakest[giver] <= strongest[taker]


def test_warm_up_and_rest_must_leave_time() -> None:
    with pytest.raises(ValueError, match=r"must be below 1, got 0\.6 \+ 0\.5; lower one"):
        ElaLora(warmup_fraction=0.6, final_fraction=0.5)
