from hypothesis import given
from hypothesis import strategies as st

from rankscope.storage.ids import event_id
from rankscope.storage.stream import is_whole

Attempt = st.integers(1, 5)


@given(Attempt, st.integers(0, 2**31), st.integers(1, 60))
def test_events_counted_on_from_the_cursor_are_whole(
    attempt: int, number: int, num_events: int
) -> None:
    ids = [event_id(attempt, number + i) for i in range(1, num_events + 1)]
    assert is_whole(event_id(attempt, number), ids)


@given(Attempt, st.integers(0, 1000), st.integers(2, 60), st.data())
def test_any_event_left_out_but_the_last_is_noticed(
    attempt: int, number: int, num_events: int, data: st.DataObject
) -> None:
    ids = [event_id(attempt, number + i) for i in range(1, num_events + 1)]
    missing = data.draw(st.sets(st.sampled_from(ids[:-1]), min_size=1))
    left = [one for one in ids if one not in missing]
    assert not is_whole(event_id(attempt, number), left)


@given(st.integers(1, 5), st.integers(0, 1000), st.integers(1, 5), st.integers(1, 60))
def test_a_newer_attempt_never_follows_without_a_gap(
    attempt: int, number: int, later: int, num_events: int
) -> None:
    ids = [event_id(attempt + later, i) for i in range(1, num_events + 1)]
    assert not is_whole(event_id(attempt, number), ids)


@given(st.integers(1, 5), st.integers(1, 60))
def test_a_run_that_never_began_misses_nothing_before_its_first_attempt(
    attempt: int, num_events: int
) -> None:
    ids = [event_id(attempt, i) for i in range(1, num_events + 1)]
    assert is_whole(0, ids) == (attempt == 1)


@given(st.lists(st.integers(0, 2**40), unique=True, min_size=1))
def test_what_is_whole_is_whole_piece_by_piece(ids: list[int]) -> None:
    ids.sort()
    pieces = [is_whole(before, [after]) for before, after in zip([0, *ids], ids, strict=False)]
    assert is_whole(0, ids) == all(pieces)


def test_nothing_new_is_whole() -> None:
    assert is_whole(event_id(1, 7), [])
