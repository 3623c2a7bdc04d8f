"""Operations and how long they take, by hand."""

import pytest

from rankscope.models.cost.activations import Batch, Trained
from rankscope.models.cost.formats import formats_of
from rankscope.models.cost.pace import Range, Speed, around, assumed_speed, seconds
from rankscope.models.cost.sizes import ModelSizes
from rankscope.models.cost.work import Work, answers, forward, step
from rankscope.models.inventory import AdaptableModule, Linears

SIZES = ModelSizes(vocabulary=100, num_heads=2, context_tokens=64, picture=None)
SPEED = Speed(flops_per_s=1e9, call_s=1e-6, basis="by hand")
BATCH = Batch(rows=2, tokens=5, pictures=0)


def linears(num_layers: int = 1) -> Linears:
    """q_proj and o_proj, 8 x 8 each, in every layer."""
    return Linears(
        modules=tuple(
            AdaptableModule(
                name=f"{layer}.{kind}", part="language", layer=layer, type=kind, d_in=8, d_out=8
            )
            for layer in range(num_layers)
            for kind in ("q_proj", "o_proj")
        ),
        params_by_part={"language": 1000},
        sizes=SIZES,
    )


def test_a_forward_pass_by_hand() -> None:
    """10 positions: weights 128, attention 2 x 5 x 8, an adapter of rank 2 on q 32; head 800.

    2 x 10 x (128 + 80 + 32 + 800) = 20,800.
    """
    assert forward(linears(), Trained({"0.q_proj": 2}), BATCH).flops == 20_800


def test_backward_makes_gradients_of_activations_and_of_trained_weights() -> None:
    """As much again as forward, and 2 x 10 x 32 for the adapter; in full 2 x 10 x 128 instead."""
    adapted = step(linears(), Trained({"0.q_proj": 2}), BATCH, num_batches=3, checkpointing=False)
    assert adapted.flops == 3 * (2 * 20_800 + 640)
    whole = Trained({}, full_parts=frozenset({"language"}))
    ahead = forward(linears(), whole, BATCH).flops
    full = step(linears(), whole, BATCH, num_batches=1, checkpointing=False)
    assert full.flops == 2 * ahead + 2 * 10 * 128
    again = step(linears(), whole, BATCH, num_batches=1, checkpointing=True)
    assert again.flops - full.flops == ahead


def test_answers_cost_the_prompt_and_a_token_of_every_row_at_a_time() -> None:
    trained = Trained({})
    one = forward(linears(), trained, Batch(rows=2, tokens=1, pictures=0)).flops
    told = answers(linears(), trained, BATCH, answer_tokens=3)
    assert told.flops == forward(linears(), trained, BATCH).flops + 3 * one


def test_seconds_are_a_range_between_two_shares_of_a_products_speed() -> None:
    """9e8 operations at 90 % take a second, at 25 % 3.6; 1,000 calls 8 to 40 ms."""
    work = Work(flops=9e8, calls=1000)
    told = seconds(work, work, SPEED)
    assert told.low == pytest.approx(1.008)
    assert told.high == pytest.approx(3.64)


def test_recorded_runs_have_their_own_spread_and_a_single_one_an_assumed_one() -> None:
    assert around(1.0, 2.0, 4.0, num_runs=3) == Range(low=1.0, high=4.0)
    assert around(2.0, 2.0, 2.0, num_runs=1) == Range(low=1.5, high=2.5)


def test_what_was_not_measured_is_said_to_be_assumed() -> None:
    assert "assumed" in assumed_speed("cpu", 2).basis
    assert "assumed" in assumed_speed("cuda", 2).basis


@pytest.mark.parametrize(
    ("base", "training", "op_bytes", "casts"),
    [
        ("fp32", "fp32", 4, False),
        ("fp32", "bf16", 2, True),
        ("bf16", "bf16", 2, False),
        ("bf16", "fp16", 2, True),
        ("bf16", "fp32", 2, False),
        ("nf4", "bf16", 2, False),
    ],
)
def test_formats_follow_from_base_and_training(
    base: str, training: str, op_bytes: int, *, casts: bool
) -> None:
    told = formats_of(base, training)  # type: ignore[arg-type]
    assert (told.op_bytes, told.casts_weights) == (op_bytes, casts)
