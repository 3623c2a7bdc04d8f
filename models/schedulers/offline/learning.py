"""The offline phase: from past runs of one architecture to a model for runs to come.

Source: RankAdaptor's first phase (Zhou et al. 2025; ALGORITHMS.md 1.2), which learns a predictor
    from past runs. Its rank vectors to scores are unlearnable from a few hundred runs (1.3); here
    the runs of equal settings are compared with each other, and what is learned are utilities by
    part, layer and type that may be wrong and say how wrong.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.offline.fallback import best_static_rule
from rankscope.models.schedulers.offline.model import (
    LearnedEffect,
    OfflineModel,
    Provenance,
)
from rankscope.models.schedulers.offline.past_runs import LeftOut, PastRun, comparable
from rankscope.models.schedulers.offline.pooling import Pooled, pool
from rankscope.models.schedulers.offline.validating import validate
from rankscope.models.schedulers.performance.effects import effects_of

MIN_RUNS = 20
"""Fewer that can be compared say nothing about dozens of modules, whatever the prior."""

SIGNIFICANT_DIGITS = 6
"""Of stored numbers: far finer than anything learned, and a model is shown at every decision."""


class TooFewRunsError(ValueError):
    """There is too little to learn from."""


class Learned(NamedTuple):
    """A model, and the runs that it could not use, with the reason."""

    model: OfflineModel
    left_out: dict[str, LeftOut]


def learn(
    runs: Sequence[PastRun],
    modules: Sequence[AdaptableModule],
    *,
    name: str,
    created_at: datetime,
    code_version: str,
) -> Learned:
    """Learn utilities from runs that adapt these modules, and measure how well that foretells.

    Useful is a model whose families, each left out in turn, are foretold better than by utilities
    in proportion to cost, with the 95 % interval of the gain in mean rank correlation above zero:
    to know that even ranks beat uneven ones is worth nothing, uniform ranks know it too. With one
    family it cannot be known.

    Args:
        runs: All of one architecture.
        modules: What they adapt.
        name: How people call the model.
        created_at: Now.
        code_version: Of this package.

    Raises:
        TooFewRunsError: Fewer than ``MIN_RUNS`` can be compared.
    """
    families, left_out = comparable(runs, modules)
    used = sorted(run.id for data in families for run in data.runs)
    if len(used) < MIN_RUNS:
        raise TooFewRunsError(
            f"learning needs at least {MIN_RUNS} runs that are done, have a validation loss and "
            f"can be compared with a run of other ranks and else equal settings, got {len(used)} "
            f"of {len(runs)}; record more, for instance with scheduler random and several draws"
        )
    validation = validate(families, modules)
    pooled = pool(families, modules)
    effects, covariance = _effects(pooled, modules)
    provenance = Provenance(
        num_runs=len(used),
        runs_sha256=hashlib.sha256("\n".join(used).encode()).hexdigest(),
        train_s=round(sum(run.train_s for data in families for run in data.runs), 1),
        created_at=created_at,
        code_version=code_version,
    )
    model = OfflineModel(
        name=name,
        architecture=Architecture.of(modules),
        families=tuple(data.family for data in families),
        effects=effects,
        covariance=covariance,
        validation=validation,
        is_useful=validation.gain is not None and validation.gain.low > 0,
        fallback=best_static_rule(families),
        provenance=provenance,
    )
    return Learned(model, left_out)


def _effects(
    pooled: Pooled, modules: Sequence[AdaptableModule]
) -> tuple[tuple[LearnedEffect, ...], tuple[float, ...]]:
    """Effects with the main ones first, and these ones' covariance."""
    named = effects_of(modules)[1:]
    sds_E = np.sqrt(np.diag(pooled.covariance_EE))
    effects = tuple(
        LearnedEffect.model_validate(
            {**effect._asdict(), "mean": _rounded(mean), "sd": _rounded(sd)}
        )
        for effect, mean, sd in zip(named, pooled.mean_E.tolist(), sds_E.tolist(), strict=True)
    )
    num_main = sum(effect.kind != "cell" for effect in named)
    triangle = pooled.covariance_EE[:num_main, :num_main][np.tril_indices(num_main)]
    return effects, tuple(_rounded(value) for value in triangle.tolist())


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
