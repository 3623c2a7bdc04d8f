"""Which option an answer chooses, by the rules that MMBench tries before it asks a GPT.

Source: ``can_infer`` of OpenCompass' ``tools/eval_mmbench.py``.
"""

from collections.abc import Sequence

LETTERS = ("A", "B", "C", "D")
# E is how the official tool says "none of these"; it is never right.
_RECOGNISED = (*LETTERS, "E")
_WRAPPERS = (
    *(("", "."), ("", ","), ("", ":"), ("", ")"), ("", ").")),
    *(("(", ")"), ("(", ").")),
    *((":", ""), (":", ","), (":", "."), (":", ")"), (":", ").")),
)
_FAILURE = "Failed to obtain answer via API"


def letter_in(answer: str, options: Sequence[str]) -> str | None:
    """The letter that an answer names, or that of the one option whose text it holds, or None."""
    return _letter_named(answer) or _letter_of_text(answer, options)


def _letter_named(answer: str) -> str | None:
    """The only letter that stands as a word, bare or with the same marks around it."""
    if _FAILURE in answer:
        return None
    words = answer.split()
    bare = [letter for letter in _RECOGNISED if letter in words]
    # In a longer answer an "A" may be an article, even beside nothing else.
    if len(bare) == 1 and not ("A" in words and len(words) > 3):
        return bare[0]
    for before, after in _WRAPPERS:
        wrapped = [letter for letter in _RECOGNISED if f"{before}{letter}{after}" in words]
        if len(wrapped) == 1:
            return wrapped[0]
    return None


def _letter_of_text(answer: str, options: Sequence[str]) -> str | None:
    lowered = answer.lower()
    found = [
        letter
        for letter, option in zip(LETTERS, options, strict=True)
        if option and option.lower() in lowered
    ]
    return found[0] if len(found) == 1 else None
