"""Ids of runs and tokens: short, sortable by time of making, safe in paths and addresses."""

import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no i, l, o, u, so that nothing is misread."""
_TIME_DIGITS, _RANDOM_DIGITS = 6, 4
_EPOCH_S = 1_735_689_600
"""2025-01-01; six digits of seconds last until 2059."""
_RUN_ID = re.compile(f"[{_ALPHABET}]{{{_TIME_DIGITS + _RANDOM_DIGITS}}}")


def new_id() -> str:
    """Ten characters: six of the second it was made in, four drawn at random."""
    second = int(time.time()) - _EPOCH_S
    number = (second << 5 * _RANDOM_DIGITS) | secrets.randbits(5 * _RANDOM_DIGITS)
    digits = _TIME_DIGITS + _RANDOM_DIGITS
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(digits)))


def is_run_id(text: str) -> bool:
    """Whether the text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


def event_id(attempt: int, number: int) -> int:
    """Id of the ``number``-th event of an attempt; grows along the run over all its attempts."""
    return (attempt << 32) | number
