"""Activations by formula against what autograd keeps, and by hand."""

from dataclasses import replace
from typing import get_args

import pytest

from benchmarks.cost.measuring import Case, counted
from rankscope.models.cost.activations import (
    Attention,
    Batch,
    Trained,
    activations,
    cache_bytes,
)
from rankscope.models.cost.formats import formats_of
from rankscope.models.cost.sizes import ModelSizes
from rankscope.models.inventory import AdaptableModule

WITHIN = (0.85, 1.15)
"""The stated factor between formula and autograd; docs/cost.md has the ratios."""

EMBEDDED = Case("embedded", 4, 16)
LLAVA = Case("tiny LLaVA", 4, 64)
MOBILEVLM = Case("tiny MobileVLM", 4, 64)


@pytest.mark.parametrize(
    "case",
    [
        EMBEDDED,
        replace(EMBEDDED, training="bf16"),
        replace(EMBEDDED, parts=("vision", "language")),
        replace(EMBEDDED, full_parts=("projector",)),
        LLAVA,
        replace(LLAVA, checkpointing=True),
        replace(LLAVA, base="bf16"),
        replace(LLAVA, base="bf16", training="bf16", checkpointing=True),
        replace(LLAVA, full_parts=("projector",)),
        MOBILEVLM,
        replace(MOBILEVLM, full_parts=("projector",)),
        replace(MOBILEVLM, base="bf16", training="bf16", rank=16),
        replace(MOBILEVLM, checkpointing=True, full_parts=("projector",)),
    ],
    ids=str,
)
def test_the_formula_is_close_to_what_autograd_keeps(case: Case) -> None:
    predicted, kept = counted(case)
    assert WITHIN[0] <= predicted / kept <= WITHIN[1]


def layer(number: int) -> list[AdaptableModule]:
    """Width 8, inner width 24."""
    shapes = {
        **dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), (8, 8)),
        **dict.fromkeys(("gate_proj", "up_proj"), (8, 24)),
        "down_proj": (24, 8),
    }
    return [
        AdaptableModule(
            name=f"layers.{number}.{kind}",
            part="language",
            layer=number,
            type=kind,
            d_in=d_in,
            d_out=d_out,
        )
        for kind, (d_in, d_out) in shapes.items()
    ]


SIZES = ModelSizes(vocabulary=100, num_heads=2, context_tokens=64, picture=None)
BATCH = Batch(rows=2, tokens=5, pictures=0)


def test_a_layer_by_hand() -> None:
    """10 positions in float32, adapters of rank 2 on q and down.

    Attention 4 x 8, gate 2 x 24, up 24, norms 2 x 8: 120 numbers; inputs of q 8 and down 24, A x
    of both 2 + 2: 36. The head: norm 8, log-probabilities 100. Mask 2 x 5 x 5 once. 4 bytes each:
    10 x (120 + 36 + 108) x 4 + 50 x 4 = 10,760.
    """
    trained = Trained({"layers.0.q_proj": 2, "layers.0.down_proj": 2})
    formats = formats_of("fp32", "fp32")
    told = activations(layer(0), SIZES, trained, formats, BATCH, checkpointing=False)
    assert told.kept == 10_760
    assert told.recomputed == 0


def test_frozen_weights_keep_no_input_and_trained_ones_do() -> None:
    """In full: q, k and v read one input of 8, gate and up one of 8, down 24; o's is there."""
    formats = formats_of("fp32", "fp32")

    def kept(trained: Trained) -> int:
        return activations(layer(0), SIZES, trained, formats, BATCH, checkpointing=False).kept

    whole = Trained({}, full_parts=frozenset({"language"}))
    assert kept(whole) - kept(Trained({})) == 10 * 4 * (8 + 8 + 24)


def test_checkpointing_keeps_the_inputs_of_layers_and_makes_one_again() -> None:
    formats = formats_of("fp32", "fp32")
    modules = [module for number in range(6) for module in layer(number)]
    trained = Trained({module.name: 1 for module in modules})

    def told(*, checkpointing: bool) -> tuple[int, int]:
        found = activations(modules, SIZES, trained, formats, BATCH, checkpointing=checkpointing)
        return found.kept, found.recomputed

    plain, again = told(checkpointing=False), told(checkpointing=True)
    head = 10 * 4 * 108 + 50 * 4
    assert again == (10 * 4 * 8 * 6 + head, (plain[0] - head) // 6)


def test_eager_attention_keeps_its_probabilities() -> None:
    """2 heads x 5 keys for each of 10 positions, in float32 twice; no mask is counted."""
    formats, trained = formats_of("fp32", "fp32"), Trained({"layers.0.q_proj": 1})
    kept = [
        activations(
            layer(0), SIZES, trained, formats, BATCH, checkpointing=False, attention=attention
        ).kept
        for attention in get_args(Attention)
    ]
    assert kept[1] - kept[0] == 10 * 2 * 5 * 8 - 50 * 4


def test_a_cache_holds_keys_and_values_of_every_layer() -> None:
    """3 rows x 7 tokens x 2 layers x (8 + 8) numbers of 2 bytes."""
    modules = [*layer(0), *layer(1)]
    assert cache_bytes(modules, formats_of("bf16", "fp32"), rows=3, tokens=7) == 3 * 7 * 2 * 16 * 2
