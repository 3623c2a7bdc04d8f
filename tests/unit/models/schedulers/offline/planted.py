"""Runs of a made-up architecture whose modules' worth is known, family by family."""

from datetime import UTC, datetime

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray, Part
from rankscope.models.schedulers.offline.learning import Learned, learn
from rankscope.models.schedulers.offline.past_runs import PastRun
from rankscope.models.schedulers.performance.effects import design_of, effects_of

LANGUAGE = {"q_proj": -1.0, "v_proj": 0.0, "up_proj": 1.0, "down_proj": 1.4}
VISION = {"q_proj": -1.0, "fc1": 0.6}
SDS = {"part": 0.7, "layer": 0.3, "type": 0.3, "cell": 0.1}
"""How far a family is from the mean of all, by kind of effect."""

LEVEL = -5.0
"""Ranks spread the log loss by 0.3."""

BUDGET_RANKS = (1, 2)
NUM_SEEDS = 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def architecture(*, layers: int = 5, vision_layers: int = 3) -> tuple[AdaptableModule, ...]:
    """Four types per language layer, two per vision layer."""

    def module(part: Part, layer: int, kind: str) -> AdaptableModule:
        name = f"{part}.layers.{layer}.{kind}"
        return AdaptableModule(name=name, part=part, layer=layer, type=kind, d_in=64, d_out=64)

    language = [module("language", layer, kind) for layer in range(layers) for kind in LANGUAGE]
    vision = [module("vision", layer, kind) for layer in range(vision_layers) for kind in VISION]
    return (*language, *vision)


MODULES = architecture()


def common_log_utilities() -> FloatArray:
    """What all families have in common: later is better, MLP is better, vision is worth little."""
    return np.array(
        [
            0.4 * m.layer + LANGUAGE[m.type]
            if m.part == "language"
            else 0.2 * m.layer + VISION[m.type] - 1.5
            for m in MODULES
        ]
    )


def past_runs(
    *,
    num_families: int = 3,
    num_runs: int = 40,
    noise: float = 0.02,
    seed: int = 0,
    level: float = LEVEL,
    is_shuffled: bool = False,
) -> list[PastRun]:
    """Per family runs at two budgets: uniform with every seed, then random allocations.

    Args:
        num_families: How many.
        num_runs: Per family.
        noise: Sd of the log loss; seeds differ by as much.
        seed: Of all draws.
        level: Of all log utilities.
        is_shuffled: Whether each run is told to have had another run's ranks.
    """
    rng = np.random.default_rng(seed)
    runs = []
    for family in range(num_families):
        effects = effects_of(MODULES)[1:]
        apart = np.array([SDS[effect.kind] for effect in effects]) * rng.normal(size=len(effects))
        log_utilities_M = common_log_utilities() + design_of(MODULES)[:, 1:] @ apart
        for budget in BUDGET_RANKS:
            drawn = num_runs // len(BUDGET_RANKS)
            ranks_IM = np.array([_ranks(rng, budget, number) for number in range(drawn)])
            log_ranks_IM = np.log1p(ranks_IM)
            seeds = noise * rng.normal(size=NUM_SEEDS)
            log_loss_I = 0.5 - log_ranks_IM @ np.exp(level + log_utilities_M)
            log_loss_I += seeds[np.arange(drawn) % NUM_SEEDS] + noise * rng.normal(size=drawn)
            told_IM = rng.permutation(log_ranks_IM) if is_shuffled else log_ranks_IM
            runs += [
                PastRun(
                    id=f"{family}-{budget}-{number:03}",
                    family=f"family {family}",
                    task=f"task {family}",
                    group=f"task {family}, rank {budget}",
                    seed=number % NUM_SEEDS,
                    rule="uniform" if number < NUM_SEEDS else None,
                    log_ranks={
                        m.name: float(value)
                        for m, value in zip(MODULES, told_IM[number], strict=True)
                    },
                    loss=float(np.exp(log_loss_I[number])),
                    num_items=1024,
                    train_s=10.0,
                )
                for number in range(drawn)
            ]
    return runs


def learned(runs: list[PastRun], name: str = "planted") -> Learned:
    return learn(runs, MODULES, name=name, created_at=NOW, code_version="0.1.0")


def _ranks(rng: np.random.Generator, budget: int, number: int) -> FloatArray:
    if number < NUM_SEEDS:
        return np.full(len(MODULES), float(budget))
    shares = rng.dirichlet(np.full(len(MODULES), 0.3))
    return rng.multinomial(budget * len(MODULES), shares).astype(np.float64)
