"""What a run would do: modules, budget in parameters, first ranks, without torch or training."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.schedulers import PLANNERS
from rankscope.models.schedulers.para import Para
from rankscope.tasks.planning import Plan, plan_run

KINDS = tuple(
    kind
    for kind in (planner.model_validate({}).model_dump()["kind"] for planner in PLANNERS)
    if kind != "fixed"  # it plans what it is given, and nothing by default
)


def inventory(num_layers: int = 2) -> Inventory:
    """Per layer q_proj 8 x 8 (16 parameters per rank) and up_proj 8 x 24 (32): 48 together."""
    return Inventory(
        modules=tuple(
            AdaptableModule(
                name=f"model.layers.{layer}.{kind}",
                part="language",
                layer=layer,
                type=kind,
                d_in=8,
                d_out=d_out,
            )
            for layer in range(num_layers)
            for kind, d_out in (("q_proj", 8), ("up_proj", 24))
        ),
        total_params=1000,
    )


def plan(scheduler: dict[str, Any], **changes: Any) -> Plan:
    raw = {"data": {"kind": "easy_vqa"}, "scheduler": scheduler, "training": {"steps": 100}}
    return plan_run(parse_config(raw | changes), inventory())


def ranks(planned: Plan) -> list[int]:
    return [module.rank for module in planned.modules]


def params(value: int) -> dict[str, object]:
    return {"unit": "params", "value": value}


@pytest.mark.parametrize("kind", KINDS)
@given(
    budget=st.integers(32, 2000),
    min_rank=st.sampled_from([0, 0, 1, 2]),
    max_rank=st.integers(2, 12),
)
@settings(max_examples=15, deadline=None)
def test_the_planned_parameters_are_those_of_the_ranks_and_within_the_budget(
    kind: str, budget: int, min_rank: int, max_rank: int
) -> None:
    lora = {"min_rank": min_rank, "max_rank": max_rank}
    refusal = "budget must pay for" if budget < 96 * min_rank else ""
    if kind == "para" and not refusal and int(Para().keep_fraction * budget) < 96 * min_rank:
        refusal = "keep_fraction must leave"
    if refusal:
        with pytest.raises(ConfigError, match=refusal):
            plan({"kind": kind}, budget=params(budget), lora=lora)
        return
    planned = plan({"kind": kind}, budget=params(budget), lora=lora)
    assert planned.budget_params == budget
    assert planned.params == sum((m.d_in + m.d_out) * m.rank for m in planned.modules) <= budget
    assert all(min_rank <= m.rank <= min(max_rank, 8) for m in planned.modules)
    assert [m.name for m in planned.modules] == [m.name for m in inventory().modules]


def test_a_plan_by_hand() -> None:
    """Rank 1.5 of 96 parameters: 144 = rank 1 everywhere and 48 over.

    Error diffusion: shares of the 48 by cost are 8, 24, 32, 48 summed up; nothing of 16 fits the
    first 8, up_proj's 32 not the 24, the third's 16 fits 32, the last 16 + 32 = 48 fits 48.
    """
    planned = plan({"kind": "uniform"}, budget={"unit": "rank", "value": 1.5})
    assert ranks(planned) == [1, 1, 2, 2]
    assert (planned.params, planned.budget_params, planned.equivalent_rank) == (144, 144, 1.5)


def test_a_plan_of_full_tuning_has_no_ranks_and_no_budget_binds_it() -> None:
    planned = plan({"kind": "full"}, budget=params(1))
    assert ranks(planned) == [0, 0, 0, 0]
    assert (planned.params, planned.note, planned.ranks_are_final) == (
        0,
        "trains without adapters",
        False,
    )


def test_what_is_trained_beside_a_and_b_is_planned_within_the_budget() -> None:
    """96 parameters per rank on four modules: AdaLoRA's E takes 4, so one q_proj of 17 goes.

    DoRA's magnitudes take 64: 24 for a q_proj, 56 for an up_proj; both q_proj and no up_proj
    are 48, one up_proj and one q_proj 80, two up_proj are too many.
    """
    held = plan({"kind": "adalora", "live_budget": "held"}, budget=params(96))
    assert (sum(ranks(held)), held.params) == (3, 96 - 16 + 3)
    dora = plan({"kind": "dora"}, budget=params(96))
    assert dora.params <= 96
    assert sum(rank > 0 for rank in ranks(dora)) == 2


@pytest.mark.parametrize(
    ("scheduler", "steps", "note"),
    [
        ({"kind": "uniform"}, (0,), ""),
        ({"kind": "random"}, (0,), ""),
        ({"kind": "static"}, (0,), ""),
        ({"kind": "gradient"}, (0,), "uniform, decided at step 0 from a measurement"),
        ({"kind": "hydra"}, (0, 20, 50), "decided again at step 20"),
        ({"kind": "adalora"}, (), "starts above these ranks and masks down to them"),
        (
            {"kind": "adalora", "live_budget": "held"},
            (),
            "masks down to 2 of these ranks in all",
        ),
        ({"kind": "dora"}, (), ""),
        ({"kind": "eva"}, (), "uniform, shared out anew before step 1 from training data"),
        ({"kind": "lora_ga"}, (), ""),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_a_plan_says_when_its_ranks_change(
    scheduler: dict[str, Any], steps: tuple[int, ...], note: str
) -> None:
    planned = plan(scheduler)
    assert (planned.scheduler, planned.ranks_decided_at_steps) == (scheduler["kind"], steps)
    assert (planned.note, planned.ranks_are_final) == (note, note == "")


def test_a_planner_that_decides_without_measuring_is_shown_as_decided() -> None:
    """192 parameters, MLP only: 192 / 64 = rank 3 on both up_proj, none on q_proj."""
    planned = plan({"kind": "static", "where": "mlp"}, budget=params(192))
    assert ranks(planned) == [0, 3, 0, 3]


def test_the_highest_rank_is_that_of_the_matrix() -> None:
    """16 allowed, every matrix has a side of 8; the rest of the budget stays unspent."""
    planned = plan({"kind": "uniform"}, budget=params(5000))
    assert ranks(planned) == [8, 8, 8, 8]
    assert planned.params == 8 * 96


def test_a_budget_below_the_minimum_ranks_is_refused() -> None:
    """2 * 96 = 192 are needed."""
    with pytest.raises(ConfigError) as caught:
        plan({"kind": "uniform"}, budget=params(191), lora={"min_rank": 2})
    assert str(caught.value) == (
        "budget must pay for lora.min_rank=2 on every module (192 parameters), got 191; "
        "raise the budget or lower lora.min_rank"
    )
    assert plan({"kind": "uniform"}, budget=params(192), lora={"min_rank": 2}).params == 192


def test_a_budget_below_one_module_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        plan({"kind": "uniform"}, budget=params(15))
    assert str(caught.value) == (
        "budget must pay for rank 1 on at least one module (16 parameters), got 15; raise it"
    )
    assert plan({"kind": "uniform"}, budget=params(16)).params == 16


@pytest.mark.parametrize(
    ("scheduler", "changes", "message"),
    [
        (
            {"kind": "static", "where": "pattern", "pattern": "zzz"},
            {},
            "must select at least one module, pattern 'zzz' selects none",
        ),
        ({"kind": "adalora"}, {"training": {"steps": 1}}, "at least 2 steps to prune, got 1"),
        (
            {"kind": "uniform"},
            {"lora": {"min_rank": 9}, "budget": {"unit": "rank", "value": 9}},
            "lora.min_rank must not exceed the largest rank of each module, got 9 where "
            r"model.layers.0.q_proj \(8 x 8\) has at most 8; lower it",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"k_proj": 1}}},
            "lora.pins must match at least one of the 4 adapted modules each, 'k_proj' matches "
            "none; write for instance",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"q_proj": 1, "layers.0": 2}}},
            "lora.pins must not contradict each other, 'q_proj' gives model.layers.0.q_proj rank 1 "
            "and 'layers.0' rank 2; narrow one of them",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"q_proj": 9}}},
            "lora.pins must not exceed the largest rank of each module, got 9 where",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"q_proj": 4}}, "budget": params(127)},
            r"budget must pay for the ranks of lora.pins and lora.min_rank \(128 \+ 0 "
            r"parameters\), got 127; raise the budget or lower the pins",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"q_proj": 4}}, "budget": params(159)},
            r"budget must pay for rank 1 on at least one module \(32 parameters\) beside the 128 "
            "of lora.pins, got 159; raise it or remove pins",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"pins": {"proj": 0}}},
            "at least one module must be able to hold an adapter, lora.pins, .* leave none",
        ),
        (
            {"kind": "uniform"},
            {"lora": {"rank_multiple": 4}, "budget": params(63)},
            r"budget must pay for rank 4 on at least one module \(64 parameters\), got 63; raise",
        ),
    ],
    ids=[
        "pattern of nothing",
        "no step to prune",
        "minimum above the matrix",
        "pin of nothing",
        "contradictory pins",
        "pin above the matrix",
        "pins over the budget",
        "no room beside the pins",
        "everything pinned away",
        "budget below one multiple",
    ],
)
def test_a_run_that_could_not_start_is_refused_by_its_plan(
    scheduler: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(scheduler, **changes)


def test_pinned_modules_keep_their_ranks_and_the_others_share_the_rest() -> None:
    """384 parameters: both q_proj pinned at 4 take 128; 256 / 64 = rank 4 on both up_proj."""
    pins = {"lora": {"pins": {"q_proj": 4}}, "budget": params(384)}
    for scheduler in ({"kind": "uniform"}, {"kind": "random"}, {"kind": "hydra"}):
        planned = plan(scheduler, **pins)
        assert ranks(planned)[::2] == [4, 4]
        assert planned.params == 384
    assert ranks(plan({"kind": "uniform"}, **pins)) == [4, 4, 4, 4]


def test_pins_may_take_the_whole_budget_where_nothing_else_is_free() -> None:
    planned = plan({"kind": "uniform"}, lora={"pins": {"proj": 1}}, budget=params(96))
    assert (ranks(planned), planned.params) == ([1, 1, 1, 1], 96)


def test_ranks_are_multiples_and_the_highest_is_rounded_down() -> None:
    """Multiples of 3 up to 8 are 3 and 6; 6 * 96 = 576 parameters take all there is."""
    lora = {"rank_multiple": 3, "max_rank": 8}
    assert ranks(plan({"kind": "uniform"}, lora=lora, budget=params(5000))) == [6, 6, 6, 6]
    for kind in KINDS:
        planned = plan({"kind": kind}, lora=lora, budget=params(300))
        assert {rank % 3 for rank in ranks(planned)} == {0}


FIRST, SECOND = "model.layers.0.q_proj", "model.layers.1.up_proj"


def test_given_ranks_are_planned_exactly_and_the_others_get_the_minimum() -> None:
    """4 * 16 + 2 * 32 = 128 parameters, and 1 * (32 + 16) of the minimum ranks: 176."""
    scheduler = {"kind": "fixed", "ranks": {FIRST: 4, SECOND: 2}, "lr_factors": {FIRST: 0.5}}
    planned = plan(scheduler, lora={"min_rank": 1}, budget=params(176))
    assert (ranks(planned), planned.params, planned.note) == ([4, 1, 1, 2], 176, "")


@pytest.mark.parametrize(
    ("scheduler", "changes", "message"),
    [
        (
            {"ranks": {"model.layers.0.q_prj": 1, "x": 2}},
            {},
            "scheduler.ranks must name adapted modules by their full path, got "
            "'model.layers.0.q_prj' and 1 more; write for instance 'model.layers.0.q_proj', or",
        ),
        (
            {"ranks": {FIRST: 1}, "lr_factors": {"x": 1}},
            {},
            "scheduler.lr_factors must name adapted modules by their full path, got 'x'; write",
        ),
        (
            {"ranks": {FIRST: 6}},
            {"budget": params(95)},
            "scheduler.ranks must fit the budget of 95 parameters, with the minimum ranks of the "
            "other modules they take 96; lower ranks or raise the budget",
        ),
        (
            {"ranks": {FIRST: 9}},
            {"budget": params(900)},
            "scheduler.ranks must lie in 0..8 for model.layers.0.q_proj, got 9; change it",
        ),
        (
            {"ranks": {FIRST: 3}},
            {"lora": {"rank_multiple": 2}},
            "scheduler.ranks must be multiples of lora.rank_multiple=2, got 3 for",
        ),
        (
            {"ranks": {FIRST: 3}},
            {"lora": {"pins": {"q_proj": 1}}},
            "scheduler.ranks must agree with lora.pins, which hold model.layers.0.q_proj at 1, "
            "got 3; change one of them",
        ),
        ({}, {}, "scheduler.ranks must give at least one module a rank, got none; add modules"),
    ],
    ids=["module", "factor", "budget", "bounds", "multiple", "pin", "nothing"],
)
def test_given_ranks_that_cannot_be_are_refused(
    scheduler: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan({"kind": "fixed"} | scheduler, **changes)


def test_a_plan_is_plain_json() -> None:
    planned = plan({"kind": "hydra"})
    assert Plan.model_validate(json.loads(json.dumps(planned.model_dump(mode="json")))) == planned
