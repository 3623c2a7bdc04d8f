"""Offline models of any modules, made up at once."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.offline.model import (
    Interval,
    LearnedEffect,
    OfflineModel,
    Provenance,
    StaticRule,
    Validation,
)
from rankscope.models.schedulers.performance.effects import effects_of

MEAN_SD = 0.7
"""How far the made-up effects are from each other (natural-log units)."""


def teacher(
    modules: Sequence[AdaptableModule],
    *,
    is_useful: bool = True,
    fallback: StaticRule = "mlp",
    seed: int = 0,
) -> OfflineModel:
    """A model with random effects; the same whatever the order of modules."""
    effects = effects_of(sorted(modules, key=lambda m: m.name))[1:]
    rng = np.random.default_rng(seed)
    learned = tuple(
        LearnedEffect.model_validate(
            {**effect._asdict(), "mean": MEAN_SD * rng.standard_normal(), "sd": 0.3}
        )
        for effect in effects
    )
    num_main = sum(effect.kind != "cell" for effect in effects)
    pooled = Interval(spearman=0.6, low=0.4, high=0.8)
    gain = Interval(spearman=0.2, low=0.1 if is_useful else -0.1, high=0.3)
    return OfflineModel(
        name="made up",
        architecture=Architecture.of(modules),
        families=("look", "words"),
        effects=learned,
        covariance=tuple((0.3**2 * np.eye(num_main))[np.tril_indices(num_main)].tolist()),
        validation=Validation(families=(), pooled=pooled, gain=gain),
        is_useful=is_useful,
        fallback=fallback,
        provenance=Provenance(
            num_runs=99,
            runs_sha256="0" * 64,
            train_s=1.0,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            code_version="0.1.0",
        ),
    )
