import itertools

from rankscope.storage.ids import event_id, is_run_id, new_id


def test_ids_are_ten_readable_characters_and_differ() -> None:
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(is_run_id(one) for one in made)


def test_what_is_no_id_is_not_taken_for_one() -> None:
    made = new_id()
    for bad in ("", "..", made + "0", made[:-1], made.upper() + "\n", f"{made[:-1]}/", f"{made}\n"):
        assert not is_run_id(bad)


def test_event_ids_grow_along_a_run_over_its_attempts() -> None:
    ids = [event_id(attempt, number) for attempt in (1, 2, 3) for number in (1, 2, 2**31)]
    assert all(earlier < later for earlier, later in itertools.pairwise(ids))
