"""Batches of like length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data.files.ordering import length_groups

ROWS = st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=300)


@settings(deadline=None)
@given(ROWS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_every_row_comes_once_and_no_batch_mixes_pictures_and_text(
    rows: list[tuple[int, bool]], batch_size: int, seed: int, epoch: int
) -> None:
    lengths, shows = [length for length, _ in rows], [has for _, has in rows]
    batches = length_groups(lengths, shows, batch_size=batch_size, seed=seed, epoch=epoch)
    order = [int(index) for batch in batches for index in batch]
    assert sorted(order) == list(range(len(rows)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(len({shows[index] for index in batch}) == 1 for batch in batches)
    again = length_groups(lengths, shows, batch_size=batch_size, seed=seed, epoch=epoch)
    assert order == [int(index) for batch in again for index in batch]
    if rows:
        assert max(lengths[index] for index in batches[0]) == max(lengths)


def test_lengths_in_a_batch_are_close() -> None:
    """Lengths 1 to 1,000, 8 a batch, sorted by the 400: about 20 apart; shuffled it is 780."""
    batches = length_groups(range(1, 1_001), [True] * 1_000, batch_size=8, seed=0)
    spreads = [np.ptp(batch) for batch in batches]
    assert np.mean(spreads) < 30


def test_another_epoch_and_another_seed_are_another_order() -> None:
    def first(seed: int, epoch: int) -> list[int]:
        batches = length_groups(range(100), [True] * 100, batch_size=4, seed=seed, epoch=epoch)
        return [int(index) for index in batches[1]]

    assert first(0, 0) != first(0, 1) != first(1, 0) != first(0, 0)


def test_no_rows_make_no_batch() -> None:
    assert length_groups([], [], batch_size=4, seed=0) == ()


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2, 1 and 4; correct the call"):
        length_groups([1, 2], [True], batch_size=4, seed=0)
