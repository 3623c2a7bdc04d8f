"""Which part a row belongs to."""

import hashlib
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data.dialogue import Example, Picture, Turn
from rankscope.models.data.files.settings import Split
from rankscope.models.data.files.splitting import part_of

SPLIT = Split(probe_fraction=0.1, validation_fraction=0.2, test_fraction=0.3)


def example(*pictures: bytes, key: str = "1", question: str = "What?") -> Example:
    markers = "<image>" * len(pictures)
    turns = (Turn("user", markers + question), Turn("assistant", "Red."))
    return Example(key, 1, tuple(Picture("a", content) for content in pictures), turns)


def part(row: Example, split: Split = SPLIT) -> str | None:
    return part_of(row, [picture.digest() for picture in row.pictures], split)


def test_parts_have_the_wished_sizes() -> None:
    """Of 4,000 pictures, 0.1, 0.2 and 0.3 and the rest; a standard error is at most 0.008."""
    counts = Counter(part(example(str(i).encode())) for i in range(4_000))
    shares = {name: count / 4_000 for name, count in counts.items()}
    for name, share in (("probe", 0.1), ("validation", 0.2), ("test", 0.3), ("train", 0.4)):
        assert abs(shares[name] - share) < 0.03


def test_the_part_is_fixed_by_seed_and_content_alone() -> None:
    """SHA-256 of four zero bytes and of the picture's SHA-256, as a number between 0 and 1."""
    digest = hashlib.sha256(bytes(4) + hashlib.sha256(b"a").digest()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    bounds = ((0.3, "test"), (0.5, "validation"), (0.6, "probe"), (1, "train"))
    expected = next(name for bound, name in bounds if place < bound)
    assert part(example(b"a")) == expected


@settings(deadline=None)
@given(st.binary(max_size=4), st.integers(0, 2**32 - 1))
def test_items_about_one_picture_stay_together_whatever_they_ask(picture: bytes, seed: int) -> None:
    split = SPLIT.model_copy(update={"seed": seed})
    together = {
        part(example(picture, key="1", question="What?"), split),
        part(example(picture, key="2", question="Who?"), split),
        part(example(picture, picture, key="3"), split),
    }
    assert len(together) == 1
    assert together != {None}


def test_pictures_of_two_parts_leave_their_row_in_none() -> None:
    by_part = {part(example(str(i).encode())): str(i).encode() for i in range(50)}
    assert set(by_part) == {"train", "probe", "validation", "test"}
    assert part(example(by_part["train"], by_part["test"])) is None


def test_a_larger_fraction_of_another_part_leaves_test_as_it_is() -> None:
    rows = [example(str(i).encode()) for i in range(300)]
    larger = SPLIT.model_copy(update={"validation_fraction": 0.4, "probe_fraction": 0.0})
    assert [part(row) == "test" for row in rows] == [part(row, larger) == "test" for row in rows]


def test_another_seed_deals_otherwise() -> None:
    rows = [example(str(i).encode()) for i in range(100)]
    other = SPLIT.model_copy(update={"seed": 1})
    assert [part(row) for row in rows] != [part(row, other) for row in rows]


def test_rows_without_a_picture_stay_together_by_their_text() -> None:
    parts = {part(example(question=str(i))) for i in range(50)}
    assert parts == {"train", "probe", "validation", "test"}
    assert part(example(key="1")) == part(example(key="2"))


def test_by_key_rows_of_one_key_stay_together_whatever_they_show() -> None:
    split = SPLIT.model_copy(update={"by": "key"})
    assert len({part(example(str(i).encode(), key="page 1"), split) for i in range(50)}) == 1
    assert len({part(example(b"a", key=str(i)), split) for i in range(50)}) == 4
