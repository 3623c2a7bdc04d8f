"""Controls of a finished run: what stays, what is dealt out, and that nothing else changes."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.config import RunConfig
from rankscope.models.freezing import Control, frozen
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.rank_bounds import highest_rank
from rankscope.models.reading import parse_config
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.uniform import Uniform

SHAPES = {"q_proj": (8, 8), "v_proj": (8, 8), "up_proj": (8, 24), "down_proj": (24, 8)}
INVENTORY = Inventory(
    modules=tuple(
        AdaptableModule(
            name=f"layers.{layer}.{kind}",
            part="language",
            layer=layer,
            type=kind,
            d_in=d_in,
            d_out=d_out,
        )
        for layer in range(3)
        for kind, (d_in, d_out) in SHAPES.items()
    ),
    total_params=1000,
)
"""Six modules of 16 and six of 32 parameters per rank: 288 per rank of all."""
NAMES = tuple(module.name for module in INVENTORY.modules)
EARLY = dict.fromkeys(NAMES[:4], 0.3) | dict.fromkeys(NAMES[4:], 1.0)
RANKS = dict.fromkeys(NAMES, 1) | {NAMES[0]: 3, NAMES[1]: 0, NAMES[4]: 0, NAMES[2]: 2, NAMES[6]: 0}


def config(**changes: Any) -> RunConfig:
    raw = {
        "name": "first",
        "seed": 5,
        "data": {"kind": "easy_vqa"},
        "budget": {"unit": "rank", "value": 1.5},
        "scheduler": {"kind": "hydra", "probe_items": 8},
        "optimizer": {"lr": 0.125},
    }
    return parse_config(raw | changes)


def control_of(control: Control, seed: int = 0, **changes: Any) -> RunConfig:
    return frozen(config(**changes), INVENTORY, RANKS, EARLY, control=control, shuffle_seed=seed)


def fixed(made: RunConfig) -> Fixed:
    assert isinstance(made.scheduler, Fixed)
    return made.scheduler


@pytest.mark.parametrize("control", ["static", "shuffled", "uniform", "dynamic"])
def test_nothing_but_the_scheduler_changes(control: Control) -> None:
    made = control_of(control)
    assert made.model_dump(exclude={"scheduler"}) == config().model_dump(exclude={"scheduler"})


def test_final_ranks_and_learning_rate_factors_are_carried_with_their_origin() -> None:
    """Factors of 1 are those of modules left out, so they need not be said."""
    given_ = fixed(control_of("static"))
    assert given_.ranks == RANKS
    assert given_.lr_factors == dict.fromkeys(NAMES[:4], 0.3)
    assert given_.origin == "final ranks of hydra probe_items=8"
    again = frozen(control_of("static"), INVENTORY, RANKS, None, control="static")
    assert fixed(again).origin == f"final ranks of fixed ({given_.origin})"
    assert fixed(again).lr_factors is None


@given(seed=st.integers(0, 2**32), ranks=st.lists(st.integers(0, 8), min_size=12, max_size=12))
@settings(max_examples=60, deadline=None)
def test_shuffled_ranks_cost_the_same_class_by_class_and_differ(
    seed: int, ranks: list[int]
) -> None:
    final = dict(zip(NAMES, ranks, strict=True))
    raw = {
        "budget": {"unit": "rank", "value": 8},
        "lora": {"pins": {"layers.2.q_proj": final[NAMES[8]]}},
    }
    cost = {module.name: module.cost for module in INVENTORY.modules}
    free = [name for name in NAMES if name != NAMES[8]]
    classes = [[name for name in free if cost[name] == price] for price in (16, 32)]
    if not any(final.values()):
        return
    if all(len({final[name] for name in members}) == 1 for members in classes):
        with pytest.raises(ValueError, match="shuffled ranks must differ from the final ones"):
            frozen(config(**raw), INVENTORY, final, None, control="shuffled", shuffle_seed=seed)
        return
    made = [
        fixed(frozen(config(**raw), INVENTORY, final, None, control="shuffled", shuffle_seed=seed))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    dealt = made[0].ranks
    assert dealt != final
    assert dealt[NAMES[8]] == final[NAMES[8]]
    assert INVENTORY.params(dealt) == INVENTORY.params(final)
    for members in classes:
        assert Counter(dealt[name] for name in members) == Counter(final[name] for name in members)


def test_modules_of_equal_cost_but_narrower_matrices_are_dealt_no_rank_they_cannot_have() -> None:
    """Both cost 32; 28 x 4 holds rank 4 at most, so that neither can take the other's."""
    shapes = ((16, 16), (28, 4))
    modules = tuple(
        AdaptableModule(name=f"m{i}", part="language", layer=0, type="p", d_in=a, d_out=b)
        for i, (a, b) in enumerate(shapes)
    )
    narrow = Inventory(modules=modules, total_params=1)
    made = config(budget={"unit": "params", "value": 400})
    assert [highest_rank(m, made.lora) for m in modules] == [16, 4]
    with pytest.raises(ValueError, match="must differ"):
        frozen(made, narrow, {"m0": 8, "m1": 2}, None, control="shuffled")


def test_uniform_keeps_factors_where_there_were_any() -> None:
    """432 parameters: rank 1 everywhere and half of a rank more for some."""
    given_ = fixed(control_of("uniform"))
    assert set(given_.ranks.values()) == {1, 2}
    assert INVENTORY.params(given_.ranks) <= 432
    assert given_.lr_factors == dict.fromkeys(NAMES[:4], 0.3)
    assert given_.origin == "uniform ranks, learning-rate factors of hydra probe_items=8"
    plain = frozen(config(), INVENTORY, RANKS, None, control="uniform")
    assert plain.scheduler == Uniform()


def test_the_dynamic_control_is_the_run_itself() -> None:
    assert control_of("dynamic") == config()


def test_ranks_beyond_the_budget_are_refused() -> None:
    """As AdaLoRA's may be: rank 2 everywhere is 576 parameters."""
    with pytest.raises(ValueError, match=r"must fit the budget of 432 parameters, .* take 576"):
        frozen(config(), INVENTORY, dict.fromkeys(NAMES, 2), None, control="static")
