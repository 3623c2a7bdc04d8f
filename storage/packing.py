"""Compact forms of what a run records: rank changes, correctness bits, JSON. No pickle anywhere.

Rank changes: pairs (module index, new rank), each number a little-endian unsigned 16-bit integer,
in order of module index; 4 bytes per changed module. The index is the module's place in the run's
inventory. The blobs of successive changes can be joined and decoded at once.
"""

import json
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, JsonValue

MAX_PACKED = 2**16 - 1
"""Largest module index and largest rank that the format holds."""


def pack_ranks(ranks: Mapping[str, int], index_of: Mapping[str, int]) -> bytes:
    """Pack new ranks of modules.

    Raises:
        ValueError: If a module is not in the inventory or a number does not fit.
    """
    unknown = sorted(ranks.keys() - index_of.keys())
    if unknown:
        raise ValueError(f"ranks may name modules of the run's inventory only, got {unknown[0]!r}")
    pairs = sorted((index_of[name], rank) for name, rank in ranks.items())
    if any(not 0 <= number <= MAX_PACKED for pair in pairs for number in pair):
        raise ValueError(f"module indices and ranks must lie in 0..{MAX_PACKED}, got {pairs}")
    return np.array(pairs, dtype="<u2").tobytes()


def unpack_ranks(blob: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Module indices and their new ranks, of one blob or of several joined."""
    pairs = np.frombuffer(blob, dtype="<u2").reshape(-1, 2).astype(np.int64)
    return pairs[:, 0], pairs[:, 1]


def pack_bits(correct: Sequence[bool]) -> bytes:
    """One bit per item, the first item in the highest bit of the first byte."""
    return np.packbits(np.asarray(correct, dtype=np.bool_)).tobytes()


def unpack_bits(blob: bytes, num_items: int) -> npt.NDArray[np.bool_]:
    """The first ``num_items`` bits; the last byte may be padded."""
    bits = np.unpackbits(np.frombuffer(blob, dtype=np.uint8), count=num_items)
    return bits.astype(np.bool_)


def pack_model(model: BaseModel) -> bytes:
    """Compressed JSON of a model; NaN and infinities survive, as pydantic reads them back."""
    text = json.dumps(model.model_dump(mode="json"), separators=(",", ":"))
    return zlib.compress(text.encode(), level=6)


def unpack_json(blob: bytes) -> str:
    """The JSON text, for ``model_validate_json``."""
    return zlib.decompress(blob).decode()


def unpack_python(blob: bytes) -> JsonValue:
    """The JSON as dicts and lists, NaN included, for ``model_validate``."""
    content: JsonValue = json.loads(unpack_json(blob))
    return content
