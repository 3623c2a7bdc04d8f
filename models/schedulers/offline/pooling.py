"""From several families to what a new one is expected to be: empirical Bayes.

Every family's effects are drawn around a common mean; how far, is estimated too. A family counts
once, however many runs or tasks it has: its runs make it better known, not heavier than others
that are known well.

Shape letters: E effects without the level, M modules, P parameters of a family.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.offline.fitting import FamilyFit, NoiseSds, fit
from rankscope.models.schedulers.offline.past_runs import FamilyRuns
from rankscope.models.schedulers.offline.scales import (
    BETWEEN_FAMILIES,
    UNKNOWN,
    blocks_of,
    covariance,
    re_estimated,
)
from rankscope.models.schedulers.performance.effects import design_of, effects_of

NUM_ROUNDS = 12
"""Of expectation and maximisation; scales and noise change by per cents after ten."""

LEAST_NOISE = 0.003
"""Of a log loss: runs on deterministic hardware may repeat exactly, others' seeds never do."""


@dataclass(frozen=True)
class Pooled:
    """What is expected of a task of a family that was not seen."""

    mean_E: FloatArray
    covariance_EE: FloatArray
    noise: NoiseSds

    def expected(self, data: FamilyRuns, modules: Sequence[AdaptableModule]) -> FloatArray:
        """Log losses of runs, up to a factor and what compared runs have in common."""
        return _expected(data, modules, self.mean_E)


def neutrally_expected(data: FamilyRuns, modules: Sequence[AdaptableModule]) -> FloatArray:
    """The same by who has learned nothing: the more even the ranks, the better."""
    return _expected(data, modules, _neutral(modules))


def pool(families: Sequence[FamilyRuns], modules: Sequence[AdaptableModule]) -> Pooled:
    """Learn from the families' runs.

    Source: mean and spread by expectation-maximisation under a hierarchical Gaussian model with
        Laplace's approximation per family; Gelman et al. 2013, Bayesian Data Analysis, 3rd edition,
        sections 5.4 and 13.4 to 13.6.
    """
    design_ME = design_of(modules)[:, 1:]
    blocks = blocks_of(modules)
    unknown_EE = np.linalg.inv(covariance(blocks, UNKNOWN))
    scales = BETWEEN_FAMILIES
    neutral_E = _neutral(modules)
    mean_E = neutral_E
    noise = _first_noise(families)
    starts: list[FloatArray | None] = [None for _ in families]
    for _ in range(NUM_ROUNDS):
        between_EE = covariance(blocks, scales)
        prior = (mean_E, between_EE)
        fits = [
            fit(data, design_ME, prior, noise, start)
            for data, start in zip(families, starts, strict=True)
        ]
        starts = [one.mean_P for one in fits]
        precision_EE = np.linalg.inv(between_EE)
        found = [_effects(one, mean_E.size) for one in fits]
        told_E = precision_EE @ np.sum([found_E - neutral_E for found_E, _ in found], axis=0)
        mean_E = neutral_E + np.linalg.solve(unknown_EE + len(fits) * precision_EE, told_E)
        scales = re_estimated(blocks, [(found_E - mean_E, inside) for found_E, inside in found])
        noise = _noise(fits)
    between_EE = covariance(blocks, scales)
    known_EE = unknown_EE + sum(_known(one.information_EE, between_EE) for one in fits)
    return Pooled(mean_E, between_EE + np.linalg.inv(known_EE), noise)


def _expected(
    data: FamilyRuns, modules: Sequence[AdaptableModule], mean_E: FloatArray
) -> FloatArray:
    utilities_M = np.exp(design_of(modules)[:, 1:] @ mean_E)
    expected_I: FloatArray = -(data.log_ranks_IM @ utilities_M)
    return expected_I


def _neutral(modules: Sequence[AdaptableModule]) -> FloatArray:
    """mean_E before any run is seen: utility in proportion to cost, so that uniform ranks are best.

    Equal utilities would give everything to the cheapest modules.
    """
    costs_M = np.array([m.cost for m in modules])
    named = zip(effects_of(modules)[1:], design_of(modules)[:, 1:].T, strict=True)
    return np.array(
        [
            np.log(costs_M[inside_M > 0] / costs_M.max()).mean() if effect.kind == "type" else 0.0
            for effect, inside_M in named
        ]
    )


def _effects(one: FamilyFit, size: int) -> tuple[FloatArray, FloatArray]:
    return one.mean_P[-size:], one.covariance_PP[-size:, -size:]


def _known(information_EE: FloatArray, between_EE: FloatArray) -> FloatArray:
    """What a family tells about the mean of all: inverse of (spread + inverse of information)."""
    size = len(between_EE)
    known_EE: FloatArray = np.linalg.solve(
        np.eye(size) + information_EE @ between_EE, information_EE
    ).astype(np.float64)
    return (known_EE + known_EE.T) / 2


def _first_noise(families: Sequence[FamilyRuns]) -> NoiseSds:
    """Half of the spread within groups, most of it of the run itself."""
    spread = np.concatenate([data.centred(data.log_loss_I) for data in families])
    sd = max(float(np.sqrt(np.mean(spread**2))), LEAST_NOISE)
    return NoiseSds(run=0.5 * sd, seed=0.25 * sd)


def _noise(fits: Sequence[FamilyFit]) -> NoiseSds:
    sums = [one.noise for one in fits]
    run = sum(one.run_squares for one in sums) / sum(one.num_runs for one in sums)
    seed = sum(one.seed_squares for one in sums) / sum(one.num_cells for one in sums)
    return NoiseSds(run=max(run, LEAST_NOISE**2) ** 0.5, seed=max(seed, LEAST_NOISE**2) ** 0.5)
