"""Is the difference real? What the paired intervals of a comparison allow to be said, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from rankscope.app.terminal import records
from rankscope.storage.comparison import Comparison

FALSE_ALARM_PERCENT = 5
"""How often a 95 % interval misses zero where there is no difference."""

Finding = Literal["better", "worse", "unclear", "unknown"]


class Verdict(NamedTuple):
    """``answer`` in one line, one finding and sentence per configuration, then what limits them."""

    answer: str
    is_known: bool
    findings: tuple[tuple[Finding, str], ...]
    caveats: tuple[str, ...]


def verdict(compared: Comparison) -> Verdict:
    """Put the paired differences to the baseline in words."""
    pairs = records(compared.paired)
    judged = [(_finding(pair), pair) for pair in pairs]
    return Verdict(
        answer=_answer(judged, compared),
        is_known=any(finding != "unknown" for finding, _ in judged),
        findings=tuple(
            (finding, _sentence(finding, pair, compared.baseline)) for finding, pair in judged
        ),
        caveats=tuple(_caveats(compared, judged)),
    )


def _finding(pair: Mapping[str, Any]) -> Finding:
    if pair["difference"] is None:
        return "unknown"
    if pair["low"] > 0:
        return "better"
    return "worse" if pair["high"] < 0 else "unclear"


def _answer(judged: Sequence[tuple[Finding, Mapping[str, Any]]], compared: Comparison) -> str:
    """One seed decides nothing: its interval does not count the chance in training."""
    if not judged:
        return "There is nothing to compare with"
    found = {finding for finding, _ in judged}
    if found == {"unknown"}:
        return "Not known yet"
    clear = [(finding, pair) for finding, pair in judged if finding in {"better", "worse"}]
    shown = [
        f"{pair['configuration']} is {finding} than {compared.baseline}"
        for finding, pair in clear
        if pair["num_seeds"] > 1
    ]
    if shown:
        return ("So far: " if compared.num_open else "Yes: ") + ", ".join(shown)
    if clear:
        return "One seed cannot tell"
    return "No difference is shown so far" if compared.num_open else "No difference is shown"


def _sentence(finding: Finding, pair: Mapping[str, Any], baseline: str) -> str:
    name = pair["configuration"]
    if finding == "unknown":
        return f"{name}: no test score yet on a seed and on test items that {baseline} has too."
    basis = (
        f"paired over {pair['num_seeds']} seeds"
        if pair["num_seeds"] > 1
        else f"paired over {pair['num_items']:,} test items of one seed"
    )
    size = f"{_points(pair['difference'])} points, 95 % interval {_points(pair['low'])} to "
    size += f"{_points(pair['high'])}, {basis}"
    if finding == "unclear":
        return f"{name} minus {baseline}: {size}. It holds zero, so no difference is shown."
    if pair["num_seeds"] == 1:
        models = f"of these two trained models that of {name} is {finding}"
        return f"{name} minus {baseline}: {size}. It does not hold zero: {models}."
    return f"{name} minus {baseline}: {size}. It does not hold zero: {name} is {finding}."


def _caveats(
    compared: Comparison, judged: Sequence[tuple[Finding, Mapping[str, Any]]]
) -> Iterator[str]:
    known = [pair for finding, pair in judged if finding != "unknown"]
    if not judged:
        yield "All runs have one configuration, their seeds share a row; add runs of another."
    if compared.num_open and judged:
        runs = "1 run has" if compared.num_open == 1 else f"{compared.num_open} runs have"
        yield f"Provisional: {runs} not ended, and only seeds with a test score count."
    if any(pair["num_seeds"] == 1 for pair in known):
        yield (
            "One seed: the interval counts chance in the test items only, "
            "another seed may turn the result round; 5 seeds are a better basis."
        )
    if any(pair["num_seeds"] == 2 for pair in known):
        yield (
            "Two seeds leave one degree of freedom: the interval is very wide, "
            "or narrow by luck; 5 seeds are a better basis."
        )
    if len(known) > 1:
        chance = min(100, FALSE_ALARM_PERCENT * len(known))
        yield (
            f"{len(known)} intervals of 95 % each, not corrected for multiple comparisons: "
            f"were no difference real, up to {chance} % chance that one of them misses zero."
        )
    unfair = [
        row["configuration"]
        for row in records(compared.rows)
        if not (row["is_equal_budget"] and row["is_within_budget"])
    ]
    if unfair and known:
        yield (
            f"Not at equal parameters ({', '.join(unfair)}): a difference may come from "
            "the number of parameters alone."
        )


def _points(fraction: float) -> str:
    """A difference of fractions in percentage points, signed."""
    points = round(100 * fraction, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "0.0"
