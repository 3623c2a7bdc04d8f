"""A move of ranks: what it promises, and how it is told to people.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import FloatArray, IntArray
from rankscope.models.schedulers.allocation import costs_of, ranks_of
from rankscope.models.schedulers.coarse_fine import moved_params
from rankscope.models.schedulers.contract import ModuleState, Reason
from rankscope.models.schedulers.performance.contract import PerformanceModel, Prediction
from rankscope.models.schedulers.places import short_name


class Move(NamedTuple):
    """Ranks to go to, and the predicted fall of probe loss against staying."""

    ranks_M: IntArray
    gain: Prediction


def rank_weights(old_M: IntArray, new_M: IntArray) -> FloatArray:
    """weights_M of a change of ranks: the change of log(1 + rank)."""
    weights_M: FloatArray = np.log1p(new_M) - np.log1p(old_M)
    return weights_M


def predicted(model: PerformanceModel, old_M: IntArray, new_M: IntArray) -> Move:
    """A move with what the model expects of it."""
    return Move(new_M, model.predict(rank_weights(old_M, new_M)))


def reasons_of(
    modules: Sequence[ModuleState], move: Move, model: PerformanceModel
) -> dict[str, Reason]:
    """Per changed module its own predicted gain and with whom it traded, best gain first.

    Who pays for whom is bookkeeping: winners and losers, each in the order of their predicted gain
    or loss, are laid side by side by their share of the parameters moved.
    """
    old_M = ranks_of(modules)
    changes = [
        f"{short_name(m)} {m.rank} -> {new}" for m, new in zip(modules, move.ranks_M, strict=True)
    ]
    winners, losers = _winners_and_losers(modules, move, model)
    reasons = {}
    for rows, others, trade, alone in (
        (winners, losers, "paid for by", "from the unspent budget"),
        (losers, winners, "pays for", "to fit the budget"),
    ):
        partners = _partners(modules, rows, others, move.ranks_M)
        for row, partner in zip(rows, partners, strict=True):
            only_M = np.where(np.arange(old_M.size) == row, rank_weights(old_M, move.ranks_M), 0.0)
            gain = model.predict(only_M)
            end = alone if partner is None else f"{trade} {changes[partner]}"
            reasons[modules[row].name] = Reason(
                text=f"{changes[row]}, {end}",
                predicted_gain=gain.mean,
                predicted_gain_sd=gain.sd,
            )
    return reasons


def told(modules: Sequence[ModuleState], move: Move, model: PerformanceModel) -> str:
    """One sentence: how much moves, who wins most and who loses most."""
    old_M = ranks_of(modules)
    moved = moved_params(costs_of(modules), old_M, move.ranks_M)
    winners, losers = _winners_and_losers(modules, move, model)
    text = f"{moved:.0f} parameters"
    for label, rows in (("winner", winners), ("loser", losers)):
        if rows:
            module = modules[rows[0]]
            change = f"{module.rank} -> {move.ranks_M[rows[0]]}"
            text += f"; {label} {short_name(module)} {change}"
    return text


def _winners_and_losers(
    modules: Sequence[ModuleState], move: Move, model: PerformanceModel
) -> tuple[list[int], list[int]]:
    """Rows that gain and that lose rank, largest predicted effect first; ties as in order."""
    old_M = ranks_of(modules)
    effect_M = np.abs(rank_weights(old_M, move.ranks_M) * model.utilities)
    order = [int(row) for row in np.argsort(-effect_M, kind="stable")]
    winners = [row for row in order if move.ranks_M[row] > old_M[row]]
    losers = [row for row in order if move.ranks_M[row] < old_M[row]]
    return winners, losers


def _partners(
    modules: Sequence[ModuleState], rows: list[int], others: list[int], ranks_M: IntArray
) -> list[int | None]:
    """For each of ``rows`` the one of ``others`` that lies beside its first parameter."""
    if not others:
        return [None] * len(rows)

    def params(some_rows: list[int]) -> IntArray:
        return np.array(
            [abs(int(ranks_M[row]) - modules[row].rank) * modules[row].cost for row in some_rows]
        )

    own, other = params(rows), params(others)
    starts = (np.cumsum(own) - own) * int(other.sum()) // max(int(own.sum()), 1)
    beside = np.searchsorted(np.cumsum(other), starts, side="right")
    return [others[int(i)] for i in beside]
