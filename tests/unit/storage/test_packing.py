import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rankscope.storage.packing import (
    pack_bits,
    pack_model,
    pack_ranks,
    unpack_bits,
    unpack_python,
    unpack_ranks,
)

ranks = st.dictionaries(st.integers(0, 65535), st.integers(0, 65535), max_size=40)


@given(ranks)
def test_packed_ranks_read_back_in_order_of_module(new_ranks: dict[int, int]) -> None:
    index_of = {f"m{index}": index for index in new_ranks}
    blob = pack_ranks({f"m{index}": rank for index, rank in new_ranks.items()}, index_of)
    assert len(blob) == 4 * len(new_ranks)
    indices, unpacked = unpack_ranks(blob)
    assert list(zip(indices.tolist(), unpacked.tolist(), strict=True)) == sorted(new_ranks.items())


@given(st.lists(ranks, max_size=10))
def test_joined_changes_decode_to_the_last_rank_of_each_module(
    changes: list[dict[int, int]],
) -> None:
    index_of = {f"m{index}": index for change in changes for index in change}
    blobs = [pack_ranks({f"m{i}": r for i, r in change.items()}, index_of) for change in changes]
    indices, unpacked = unpack_ranks(b"".join(blobs))
    latest: dict[int, int] = {}
    for change in changes:
        latest |= change
    assert dict(zip(indices.tolist(), unpacked.tolist(), strict=True)) == latest


def test_the_format_is_little_endian_pairs_of_16_bits() -> None:
    """Module 1 to rank 2 and module 258 (0x0102) to rank 0: 01 00 02 00, 02 01 00 00."""
    assert pack_ranks({"b": 0, "a": 2}, {"a": 1, "b": 258}).hex() == "0100020002010000"


@pytest.mark.parametrize("new_ranks", [{"unknown": 1}, {"a": -1}, {"a": 65536}])
def test_ranks_that_do_not_fit_are_refused(new_ranks: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must lie in|of the run's inventory only"):
        pack_ranks(new_ranks, {"a": 0})


@given(st.lists(st.booleans(), max_size=100))
def test_packed_bits_read_back(correct: list[bool]) -> None:
    blob = pack_bits(correct)
    assert len(blob) == (len(correct) + 7) // 8
    assert np.array_equal(unpack_bits(blob, len(correct)), np.array(correct, dtype=np.bool_))


class Numbers(BaseModel):
    values: list[float]


@given(st.lists(st.floats()))
def test_packed_models_keep_every_float_even_nan(values: list[float]) -> None:
    read = Numbers.model_validate(unpack_python(pack_model(Numbers(values=values))))
    assert np.array_equal(read.values, values, equal_nan=True)
