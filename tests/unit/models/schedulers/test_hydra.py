import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rankscope.models.reading import parse_config
from rankscope.models.schedulers.contract import (
    Apply,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    ModuleState,
    View,
)
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.knock_outs import groups_of
from rankscope.tasks.client import inventory_of
from tests.unit.models.schedulers.taught import teacher

Modules = tuple[ModuleState, ...]
Drive = Callable[..., list[Any]]
Answer = Callable[[View, MeasurementRequest], KnockOutResult]

BOLD = {
    "early_lr_factor": 0.3,
    "first_event_fraction": 0.1,
    "event_interval_fraction": 0.1,
    "first_groups": 1000,
    "layer_prior_sd": 1.5,
    "type_prior_sd": 1.0,
    "mlp_prior_ratio": 3.0,
    "knock_out_log_sd": 0.3,
}
"""Measures all and often, believes it, expects much of MLPs and little of early layers."""

BUDGET = 13056
LATE = (0.02, 0.02, 0.05, 0.2, 0.3, 0.3)
LEVEL = (0.1,) * 6
TYPES = {
    "q_proj": 0.05,
    "k_proj": 0.05,
    "v_proj": 0.4,
    "o_proj": 0.6,
    "gate_proj": 0.8,
    "up_proj": 1.0,
    "down_proj": 1.4,
}


def world(layers: tuple[float, ...], noise: float = 0.002, loss: float = 2.0) -> Answer:
    """Additive truth u_l * u_t * log(1 + rank), damped layers showing sqrt(0.3) of theirs."""

    def answer(view: View, request: MeasurementRequest) -> KnockOutResult:
        assert isinstance(request, KnockOut)
        rng = np.random.default_rng(view.step)
        shown = {
            m.name: layers[m.layer]
            * TYPES[m.type]
            * np.log1p(m.rank)
            * (0.3**0.5 if m.layer < 3 else 1)
            for m in view.modules
        }
        rise = {
            name: float(sum(shown[n] for n in names) + noise * rng.normal())
            for name, names in request.groups.items()
        }
        return KnockOutResult(
            loss=loss - view.step / view.num_steps,
            rise=rise,
            rise_se=dict.fromkeys(rise, noise),
        )

    return answer


def bold(**changes: float) -> Hydra:
    return Hydra.model_validate(BOLD | changes)


def spending(decided: list[Any]) -> list[int]:
    """Parameters per layer after the last decision."""
    view, decision = decided[-1].view, decided[-1].decision
    moved = decision.ranks if isinstance(decision, Apply) else {}
    return [
        sum(m.cost * moved.get(m.name, m.rank) for m in view.modules if m.layer == layer)
        for layer in range(6)
    ]


def test_it_starts_uniform_with_early_layers_damped(embedded: Modules) -> None:
    view = View(step=0, num_steps=100, budget=BUDGET, seed=0, modules=embedded)
    decision, memory = bold().plan(view, {})
    assert isinstance(decision, Apply)
    assert set(decision.ranks.values()) == {1}
    assert decision.lr_factors is not None
    assert {m.layer for m in embedded if decision.lr_factors[m.name] == 0.3} == {0, 1, 2}
    assert memory == {}


def test_decisions_go_on_from_the_first_event_until_half_of_the_run() -> None:
    assert bold().decision_steps(150) == (0, 15, 30, 45, 60, 75)
    assert Hydra().decision_steps(150) == (0, 30, 75)
    assert Hydra().decision_steps(1) == (0, 1)


def test_the_first_event_knocks_out_every_layer_and_type_and_later_ones_four(
    embedded: Modules,
) -> None:
    view = View(step=10, num_steps=100, budget=BUDGET, seed=0, modules=embedded, train_loss=2.0)
    first, _ = bold().plan(view, {})
    assert isinstance(first, Measure)
    (request,) = first.requests
    assert isinstance(request, KnockOut)
    assert len(request.groups) == 13
    assert request.num_items == 32
    answered = view.model_copy(update={"measurements": (world(LATE)(view, request),)})
    _, memory = bold().plan(answered, {})
    later, _ = bold().plan(view.model_copy(update={"step": 20}), memory)
    assert isinstance(later, Measure)
    (request,) = later.requests
    assert isinstance(request, KnockOut)
    assert len(request.groups) == 4


def test_rank_moves_to_the_layers_and_types_that_matter(embedded: Modules, drive: Drive) -> None:
    decided = drive(bold(), embedded, BUDGET, world(LATE))
    first = decided[1].decision
    assert isinstance(first, Apply)
    per_layer = spending(decided)
    assert sum(per_layer[3:]) > 2 * sum(per_layer[:3])
    last = decided[-1].view.modules
    assert sum(m.rank for m in last if m.type in {"q_proj", "k_proj"}) <= 1
    assert BUDGET - sum(per_layer) < 256


def test_layers_that_are_alike_keep_about_equal_shares_inside_the_mlp(
    embedded: Modules, drive: Drive
) -> None:
    """No early layer starves though its knock-outs are damped (RANK_SPIKE_2.md section 8)."""
    per_layer = spending(drive(bold(), embedded, BUDGET, world(LEVEL)))
    assert min(per_layer) > 0.7 * 2176
    assert max(per_layer) < 1.4 * 2176


def test_without_the_correction_for_damping_early_layers_get_less(
    embedded: Modules, drive: Drive
) -> None:
    with_it = spending(drive(bold(), embedded, BUDGET, world(LEVEL)))
    without = spending(drive(bold(damping_exponent=0.0), embedded, BUDGET, world(LEVEL)))
    assert sum(without[:3]) < sum(with_it[:3])


def test_every_move_tells_its_figures_winner_and_payer(embedded: Modules, drive: Drive) -> None:
    decision = drive(bold(), embedded, BUDGET, world(LATE))[1].decision
    assert decision.predicted_gain > 0
    assert decision.predicted_gain_sd > 0
    assert decision.threshold == 0
    assert re.search(r"winner L[45] down_proj 1 -> \d; loser L\d \w+ 1 -> 0", decision.reason)
    assert set(decision.reasons) == set(decision.ranks)
    texts = [reason.text for reason in decision.reasons.values()]
    assert any(", paid for by L" in text for text in texts)
    assert any(" 1 -> 0, pays for L" in text for text in texts)
    parts = sum(reason.predicted_gain for reason in decision.reasons.values())
    assert parts == pytest.approx(decision.predicted_gain)


def test_later_decisions_keep_with_figures_when_nothing_new_is_learned(
    embedded: Modules, drive: Drive
) -> None:
    decisions = [d.decision for d in drive(bold(), embedded, BUDGET, world(LATE))[2:]]
    assert all(isinstance(d, Keep) for d in decisions)
    assert all(d.threshold > d.predicted_gain for d in decisions if d.threshold is not None)


def test_the_effect_of_a_move_is_reported_at_the_next_decision(
    embedded: Modules, drive: Drive
) -> None:
    """Probe and training loss both fall by 0.1 per decision here: nothing beyond training."""
    decided = drive(bold(), embedded, BUDGET, world(LATE))
    assert decided[1].decision.realised_gain is None
    assert decided[2].decision.realised_gain == pytest.approx(0.0, abs=1e-9)
    assert "probe loss fell by 0.1000" in decided[2].decision.reason
    assert decided[3].decision.realised_gain is None


def test_a_changed_world_moves_rank_later_within_the_allowed_move(
    embedded: Modules, drive: Drive
) -> None:
    def turned(view: View, request: MeasurementRequest) -> KnockOutResult:
        layers = LATE if view.step <= 10 else tuple(reversed(LATE))
        return world(layers)(view, request)

    eager = bold(caution_sds=0.0, min_gain_fraction=0.0, refresh_groups=13)
    decided = drive(eager, embedded, BUDGET, turned)
    later = [d for d in decided[2:] if isinstance(d.decision, Apply)]
    assert later
    for view, _, decision in later:
        rank = {m.name: (m.rank, m.cost) for m in view.modules}
        moved = sum(abs(new - rank[n][0]) * rank[n][1] for n, new in decision.ranks.items()) / 2
        assert 0 < moved <= 0.1 * BUDGET


@given(caution=st.floats(0, 10), least=st.floats(0, 1))
@settings(max_examples=8, deadline=None)
def test_more_caution_never_moves_more_often(
    embedded: Modules, drive: Drive, caution: float, least: float
) -> None:
    """At the second event, where both have seen and done the same."""
    answer = world(tuple(reversed(LATE)), noise=0.05)
    eager = bold(caution_sds=0.0, min_gain_fraction=0.0)
    careful = bold(caution_sds=caution, min_gain_fraction=least)
    if isinstance(drive(careful, embedded, BUDGET, answer)[2].decision, Apply):
        assert isinstance(drive(eager, embedded, BUDGET, answer)[2].decision, Apply)


def test_flat_knock_outs_keep_uniform_ranks_and_are_asked_in_full_again(
    embedded: Modules, drive: Drive
) -> None:
    decided = drive(bold(), embedded, BUDGET, world((0.0,) * 6, noise=1e-9))
    assert all(isinstance(d.decision, Keep) for d in decided[1:])
    assert "flat" in decided[1].decision.reason
    assert all(len(d.view.measurements[0].rise) == 13 for d in decided[1:])


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_measurements_that_are_not_finite_keep_ranks_and_memory(
    embedded: Modules, drive: Drive, broken: float
) -> None:
    def answer(view: View, request: MeasurementRequest) -> KnockOutResult:
        good = world(LATE)(view, request)
        first = next(iter(good.rise))
        return good.model_copy(update={"rise": good.rise | {first: broken}})

    for _, memory, decision in drive(bold(), embedded, BUDGET, answer)[1:]:
        assert isinstance(decision, Keep)
        assert "not usable: the knock-out of" in decision.reason
        assert memory == {}


def test_nothing_to_knock_out_keeps(embedded: Modules) -> None:
    modules = tuple(m.model_copy(update={"rank": 0}) for m in embedded)
    view = View(step=10, num_steps=100, budget=255, seed=0, modules=modules)
    assert isinstance(bold().plan(view, {})[0], Keep)


def test_a_budget_lowered_during_the_run_is_kept_at_once(embedded: Modules, drive: Drive) -> None:
    done = drive(bold(), embedded, BUDGET, world(LATE))[2]
    lowered = done.view.model_copy(update={"budget": BUDGET // 2})
    decision, _ = bold().plan(lowered, done.memory)
    assert isinstance(decision, Apply)
    after = sum(m.cost * decision.ranks.get(m.name, m.rank) for m in lowered.modules)
    assert after <= BUDGET // 2


def test_every_part_is_a_group_and_has_layers_and_types_of_its_own(embedded: Modules) -> None:
    vision = tuple(
        m.model_copy(update={"name": f"vision.{m.name}", "part": "vision"}) for m in embedded[:14]
    )
    view = View(step=10, num_steps=100, budget=99_999, seed=0, modules=embedded + vision)
    decision, _ = bold().plan(view, {})
    assert isinstance(decision, Measure)
    (request,) = decision.requests
    assert isinstance(request, KnockOut)
    assert len(request.groups) == 2 + 13 + (2 + 7)
    start, _ = bold().plan(view.model_copy(update={"step": 0}), {})
    assert isinstance(start, Apply)
    assert start.lr_factors is not None
    assert {start.lr_factors[m.name] for m in vision} == {1.0}


def test_by_default_nothing_is_damped_and_nothing_said_of_it(embedded: Modules) -> None:
    view = View(step=0, num_steps=100, budget=BUDGET, seed=0, modules=embedded)
    decision, _ = Hydra().plan(view, {})
    assert isinstance(decision, Apply)
    assert set((decision.lr_factors or {}).values()) == {1.0}
    assert decision.reason == "uniform until something is measured"


def test_by_default_one_noisy_measurement_of_layers_alike_moves_little(
    embedded: Modules, drive: Drive
) -> None:
    """What a knock-out says is taken to be off by a factor of 3 and more."""
    decided = drive(Hydra(), embedded, BUDGET, world(LEVEL, noise=0.05))
    timid, brave = spending(decided), spending(drive(bold(), embedded, BUDGET, world(LEVEL)))
    assert max(timid) - min(timid) <= max(brave) - min(brave)
    assert min(timid) > 0.7 * 2176


def test_by_default_rank_follows_where_the_budget_has_room_for_small_moves(
    embedded: Modules, drive: Drive
) -> None:
    """At rank 4 a layer worth 15 times another's gets more, if far from 15 times as much."""
    decided = drive(Hydra(), embedded, 4 * BUDGET, world(LATE, noise=1e-4))
    per_layer = spending(decided)
    assert isinstance(decided[1].decision, Apply)
    assert sum(per_layer[3:]) > 1.1 * sum(per_layer[:3])
    assert min(per_layer) > 0


def test_by_default_a_first_event_measures_the_groups_that_say_most(embedded: Modules) -> None:
    """Of 24 groups; a part, of which least is known, is among them."""
    vision = tuple(
        m.model_copy(update={"name": f"vision.{m.name}", "part": "vision"}) for m in embedded[:14]
    )
    view = View(step=20, num_steps=100, budget=99_999, seed=0, modules=embedded + vision)
    decision, memory = Hydra(first_groups=5).plan(view, {})
    assert memory == {}
    assert isinstance(decision, Measure)
    (request,) = decision.requests
    assert isinstance(request, KnockOut)
    assert len(request.groups) == 5
    assert {"part language", "part vision"} & request.groups.keys()


@pytest.mark.parametrize(("is_taught", "passes"), [(False, [13, 5]), (True, [5, 5])])
def test_its_events_cost_the_forward_passes_that_its_description_says(
    drive: Drive, is_taught: bool, passes: list[int]
) -> None:
    """On the embedded model: 12 of its 23 groups (2 parts, 8 layers, 13 types), then 4."""
    raw = {"data": {"kind": "easy_vqa"}, "lora": {"parts": ["language", "vision"]}}
    inventory = inventory_of(parse_config(raw))
    modules = [
        ModuleState(**m.model_dump(), rank=1, min_rank=0, max_rank=16) for m in inventory.modules
    ]

    def answer(_: View, request: MeasurementRequest) -> KnockOutResult:
        assert isinstance(request, KnockOut)
        rise = dict.fromkeys(request.groups, 0.1)
        return KnockOutResult(loss=1.0, rise=rise, rise_se=dict.fromkeys(rise, 0.01))

    budget = sum(m.cost for m in modules)
    offline = teacher(modules) if is_taught else None
    events = drive(Hydra(), modules, budget, answer, offline=offline)[1:]
    assert [sum(1 + len(r.rise) for r in one.view.measurements) for one in events] == passes
    assert len(groups_of(modules)) == 23
    assert Hydra.__doc__ is not None
    assert re.search(rf"\b{sum(passes)} (passes over|after past)", Hydra.__doc__)


def test_a_first_event_after_the_freeze_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must not exceed freeze_fraction=0\.2, got 0\.3"):
        Hydra(first_event_fraction=0.3, freeze_fraction=0.2)
