"""The order of training items, and what is in a batch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Picture, Turn
from rankscope.models.data.parts import DialoguePart
from rankscope.models.vlms.labels import num_scored
from rankscope.tasks.batches import (
    NO_ITEM,
    Collator,
    LengthGroupedItems,
    SharedItems,
    ShuffledItems,
)
from tests.unit.tasks import tiny

SEEDS = st.integers(0, 2**32 - 1)


@given(num_items=st.integers(1, 40), num_epochs=st.integers(1, 4), seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_every_epoch_is_a_permutation(num_items: int, num_epochs: int, seed: int) -> None:
    order = ShuffledItems(num_items, num_items * num_epochs, seed)
    assert len(order) == num_items * num_epochs
    for epoch in range(num_epochs):
        positions = range(epoch * num_items, (epoch + 1) * num_items)
        assert sorted(order[position] for position in positions) == list(range(num_items))


@given(
    num_items=st.integers(1, 20),
    seed=SEEDS,
    asked=st.lists(st.integers(0, 99), min_size=1, max_size=30),
)
@settings(max_examples=30, deadline=None)
def test_the_item_at_a_position_depends_on_seed_and_position_alone(
    num_items: int, seed: int, asked: list[int]
) -> None:
    """Not on what was asked before, nor on the length of the run: so a run can resume anywhere."""
    from_start = ShuffledItems(num_items, 100, seed)
    in_turn = [from_start[position] for position in range(100)]
    jumping = ShuffledItems(num_items, 500, seed)
    assert [jumping[position] for position in asked] == [in_turn[p] for p in asked]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def epoch(seed: int, number: int) -> tuple[int, ...]:
        order = ShuffledItems(50, 500, seed)
        return tuple(order[number * 50 + offset] for offset in range(50))

    orders = {epoch(seed, number) for seed in range(3) for number in range(3)}
    assert len(orders | {tuple(range(50))}) == 10


def test_a_batch_holds_the_very_items_asked_for() -> None:
    """Items 5, 3, 5: one visual token, question, answer, end; labels on answer and end only."""
    part = tiny.part(6)
    processor = tiny.processor()
    batch = Collator(part, processor)([5, 3, 5])
    for row, item in enumerate([5, 3, 5]):
        is_scored = batch["labels"][row] != -100
        said = batch["labels"][row][is_scored]
        assert processor.decode(said[None]) == [part.answers[item]]
        assert torch.equal(said, batch["input_ids"][row][is_scored])
        is_prompt = (batch["attention_mask"][row] == 1) & ~is_scored
        prompt = batch["input_ids"][row][is_prompt][1:]
        assert processor.decode(prompt[None]) == [part.questions[item]]
    assert torch.equal(batch["pixel_values"], processor.pixels(part.images_of([5, 3, 5])))


def dialogues(lengths: list[int]) -> DialoguePart:
    """Answers of so many words; every third is about no picture."""
    examples = []
    for number, length in enumerate(lengths):
        pictures = (Picture("a", b""),) if number % 3 else ()
        turns = (
            Turn("user", IMAGE_MARKER * len(pictures) + "?"),
            Turn("assistant", "a " * length),
        )
        examples.append(Example(str(number), number + 1, pictures, turns))
    return DialoguePart.of(examples, ("",) * len(examples))


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    batch_size=st.integers(1, 6),
    seed=SEEDS,
)
@settings(max_examples=30, deadline=None)
def test_batches_by_length_hold_every_item_once_an_epoch_and_never_mix_pictures_and_none(
    lengths: list[int], batch_size: int, seed: int
) -> None:
    part = dialogues(lengths)
    order = LengthGroupedItems(part, 10_000, seed, batch_size=batch_size)
    for epoch in range(3):
        first = epoch * order.num_places
        places = [order[position] for position in range(first, first + order.num_places)]
        assert sorted(item for item in places if item != NO_ITEM) == list(range(len(lengths)))
        for at in range(0, order.num_places, batch_size):
            batch = [item for item in places[at : at + batch_size] if item != NO_ITEM]
            assert batch
            assert len({part.has_pictures[item] for item in batch}) == 1


def test_batches_by_length_hold_items_of_like_length() -> None:
    """Of 400 items in batches of 8, shuffled, a batch spans nearly all lengths."""
    part = dialogues([1 + number * 7 % 400 for number in range(400)])
    order = LengthGroupedItems(part, 400, seed=1, batch_size=8)
    spans = []
    for at in range(0, 400, 8):
        lengths = [
            part.lengths[item] for item in map(order.__getitem__, range(at, at + 8)) if item >= 0
        ]
        spans.append(max(lengths) - min(lengths))
    assert sorted(spans)[len(spans) // 2] < 60  # of 800 characters


@given(seed=SEEDS, asked=st.lists(st.integers(0, 199), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_run_by_length_can_resume_anywhere(seed: int, asked: list[int]) -> None:
    part = dialogues(list(range(1, 24)))
    from_start = LengthGroupedItems(part, 200, seed, batch_size=4)
    in_turn = [from_start[position] for position in range(200)]
    jumping = LengthGroupedItems(part, 500, seed, batch_size=4)
    assert [jumping[position] for position in asked] == [in_turn[p] for p in asked]


def test_an_empty_place_is_no_row_of_a_batch() -> None:
    batch = Collator(tiny.part(6), tiny.processor())([2, NO_ITEM, 4, NO_ITEM])
    assert len(batch["input_ids"]) == 2


@given(
    num_items=st.integers(1, 40),
    share=st.integers(1, 4),
    size=st.integers(1, 4),
    num_batches=st.integers(1, 6),
    seed=SEEDS,
)
@settings(max_examples=30, deadline=None)
def test_processes_share_out_every_batch(
    num_items: int, share: int, size: int, num_batches: int, seed: int
) -> None:
    batch_size = share * size
    whole = ShuffledItems(num_items, num_batches * batch_size, seed)
    parts = [SharedItems(whole, batch_size, number, size) for number in range(size)]
    assert [len(part) for part in parts] == [num_batches * share] * size
    for batch in range(num_batches):
        own = range(batch * share, (batch + 1) * share)
        together = [part[position] for part in parts for position in own]
        all_of_it = range(batch * batch_size, (batch + 1) * batch_size)
        assert sorted(together) == sorted(whole[position] for position in all_of_it)


def test_a_share_without_items_is_a_batch_without_labels() -> None:
    """Its process has nothing to say, and its gradients count for nothing."""
    collate = Collator(tiny.part(6), tiny.processor())
    batch = collate([NO_ITEM, NO_ITEM])
    assert len(batch["input_ids"]) == 1
    assert num_scored(batch["labels"]) == 0
    assert num_scored(collate([2])["labels"]) > 0
