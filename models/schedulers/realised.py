"""What became of the last move: the honesty figure beside every prediction.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankscope.models.schedulers.allocation import ranks_of
from rankscope.models.schedulers.contract import KnockOutResult, ModuleState, View
from rankscope.models.schedulers.hydra_memory import LastEvent
from rankscope.models.schedulers.moves import rank_weights
from rankscope.models.schedulers.performance.contract import Observation

LEAST_REALISED_SD_NATS = 0.02
"""A move's effect is never trusted more closely than uniform runs of different seeds agree in final
loss: 0.021 on the task ``ans`` (RANK_SPIKE.md section 2)."""


class Realised(NamedTuple):
    """Fall of probe loss since the last decision, and the part not seen in training loss (nats)."""

    fall: float
    beyond_training: float | None
    observation: Observation | None


def event_of(view: View, result: KnockOutResult) -> LastEvent:
    """What to remember of a decision that moves nothing."""
    known = view.train_loss is not None and np.isfinite(view.train_loss)
    return LastEvent(
        step=view.step,
        probe_loss=result.loss,
        train_loss=view.train_loss if known else None,
        ranks_before=None,
    )


def realised_effect(
    view: View, modules: Sequence[ModuleState], last: LastEvent | None, result: KnockOutResult
) -> Realised | None:
    """Judge the last move by the probe loss before and after; None if nothing moved then.

    The fall of the training loss over the same steps stands for what learning alone would have
    done. It contains the move's effect on training too and is as uncertain as it is large, so the
    observation weighs little; a better estimate would need a paired run.
    """
    if last is None or last.ranks_before is None:
        return None
    now = event_of(view, result)
    fall = last.probe_loss - now.probe_loss
    if last.train_loss is None or now.train_loss is None:
        return Realised(fall, None, None)
    trend = last.train_loss - now.train_loss
    before_M = np.array([last.ranks_before.get(m.name, m.rank) for m in modules])
    sd = max(abs(trend), LEAST_REALISED_SD_NATS)
    weights_M = rank_weights(before_M, ranks_of(modules))
    return Realised(fall, fall - trend, Observation(weights_M, fall - trend, sd, "linear"))


def told_effect(realised: Realised | None) -> str:
    """The end of a decision's reason; empty if nothing had moved."""
    if realised is None:
        return ""
    text = f"; since the last move probe loss fell by {realised.fall:.4f}"
    if realised.beyond_training is None:
        return text
    return f"{text}, {realised.beyond_training:.4f} of it beyond the training loss"
