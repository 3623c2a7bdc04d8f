"""An ensemble of small neural networks from a module's place to its log utility.

Shape letters: E members, M modules, F features, H hidden units, O observations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from typing_extensions import override

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.performance.contract import Belief
from rankscope.models.schedulers.performance.effects import EffectPrior, relative_depths
from rankscope.models.schedulers.performance.keeping import KeepingModel
from rankscope.models.schedulers.performance.kept import Kept
from rankscope.models.schedulers.performance.networks import Networks

NUM_PAIRS = 8
"""Members come in pairs of opposite start, so that their mean begins exactly at the prior's."""

NUM_EPOCHS = 200
LEARNING_RATE = 0.01
"""Both as in RankAdaptor's predictor (ALGORITHMS.md 1.2), but the rate falls to zero: members that
are half trained would disagree about what they have been told exactly."""

SEED = 20_512
"""Of the networks' starts: part of the model, the same in every run."""


@dataclass(frozen=True)
class MlpEnsemble(KeepingModel):
    """Networks that start at draws from the prior, are held to them, and learn disturbed values.

    What the members still disagree about after training is the uncertainty. RankAdaptor's predictor
    takes all ranks and gives a score, which a few dozen measurements cannot teach (ALGORITHMS.md
    1.3); here a network takes a module's part, relative depth and type, and sums over modules are
    what is measured.

    Source: three hidden layers of 32 with Adam from RankAdaptor (Zhou et al. 2025), with tanh for
        ReLU, whose kinks make a rounding error grow to per cents; the ensemble from Pearce,
        Leibfried & Brintrup 2020, arXiv 1810.05546, equation 9.
    """

    @cached_property
    def members(self) -> FloatArray:
        """Every member's log utilities; trained when first asked for."""
        return _trained(self.prior, self.kept)

    @property
    @override
    def belief(self) -> Belief:
        covariance_MM = np.atleast_2d(np.cov(self.members, rowvar=False))
        if not self.kept.observations:
            covariance_MM = covariance_MM + self.prior.covariance_DD[0, 0]
        return Belief(self.members.mean(axis=0), covariance_MM)


def _trained(prior: EffectPrior, kept: Kept) -> FloatArray:
    """members_EM after learning all that is kept, from the start.

    Networks learn log sums. What linear sums say is laid on top as an ensemble Kalman filter does
    (Evensen 1994, J. Geophysical Research 99(C5)): on its way to one value the exponential slope of
    a linear sum throws a network far off.
    """
    generator = np.random.default_rng(SEED)
    networks = Networks.drawn(generator, NUM_PAIRS, _features(prior.modules))
    noise_OO = kept.noise
    half_EO = generator.standard_normal((NUM_PAIRS, len(kept.observations)))
    disturbed_EO = np.concatenate([half_EO, -half_EO]) @ np.linalg.cholesky(noise_OO).T
    values_EO = np.array([one.value for one in kept.observations]) + disturbed_EO
    weights_OM = np.array([one.weights_M for one in kept.observations])
    logs, linears = (
        [row for row, one in enumerate(kept.observations) if one.scale == scale]
        for scale in ("log", "linear")
    )
    members_EM = prior.log_utilities + prior.sds * networks.outputs()
    if logs:
        precision_OO: FloatArray = np.linalg.inv(noise_OO[np.ix_(logs, logs)]).astype(np.float64)
        lesson = _Lesson(weights_OM[logs], values_EO[:, logs], precision_OO)
        members_EM = lesson.studied(prior, networks)
    if linears:
        noise = noise_OO[np.ix_(linears, linears)]
        members_EM = _corrected(members_EM, weights_OM[linears], values_EO[:, linears], noise)
    return members_EM


@dataclass(frozen=True)
class _Lesson:
    """Log sums to learn, disturbed for every member."""

    weights_OM: FloatArray
    values_EO: FloatArray
    precision_OO: FloatArray

    def studied(self, prior: EffectPrior, networks: Networks) -> FloatArray:
        """members_EM after all epochs; their common levels are solved for at every step."""
        weight_O = self.precision_OO.sum(axis=0) / self.precision_OO.sum()
        members_EM = self._levelled(prior, networks, weight_O)
        for epoch in range(NUM_EPOCHS):
            errors_EO, slope_EOM = self._errors(members_EM)
            pull_EO = errors_EO @ self.precision_OO
            pull_EM = np.einsum("eo,eom->em", pull_EO, slope_EOM)
            rate = LEARNING_RATE * (1 + np.cos(np.pi * epoch / NUM_EPOCHS)) / 2
            networks.step(pull_EM * prior.sds, rate)
            members_EM = self._levelled(prior, networks, weight_O)
        return members_EM

    def _levelled(self, prior: EffectPrior, networks: Networks, weight_O: FloatArray) -> FloatArray:
        free_EM = prior.log_utilities + prior.sds * networks.outputs()
        errors_EO, _ = self._errors(free_EM)
        return free_EM - (errors_EO @ weight_O)[:, None]

    def _errors(self, members_EM: FloatArray) -> tuple[FloatArray, FloatArray]:
        """errors_EO of the members' log sums, and the slopes slope_EOM of these."""
        parts_EOM = self.weights_OM * np.exp(members_EM)[:, None, :]
        total_EO = parts_EOM.sum(axis=2)
        return np.log(total_EO) - self.values_EO, parts_EOM / total_EO[:, :, None]


def _corrected(
    members_EM: FloatArray, weights_OM: FloatArray, values_EO: FloatArray, noise_OO: FloatArray
) -> FloatArray:
    """Members after linear sums, all linearised at the ensemble's mean."""
    mean_M = members_EM.mean(axis=0)
    slope_OM = weights_OM * np.exp(mean_M)
    away_EM = members_EM - mean_M
    told_EO = slope_OM.sum(axis=1) + away_EM @ slope_OM.T
    cross_MO = away_EM.T @ (away_EM @ slope_OM.T) / (len(members_EM) - 1)
    gain_OM = np.linalg.solve(slope_OM @ cross_MO + noise_OO, cross_MO.T)
    corrected_EM: FloatArray = members_EM + (values_EO - told_EO) @ gain_OM
    return corrected_EM


def _features(modules: Sequence[AdaptableModule]) -> FloatArray:
    """features_MF: relative depth from -1 to 1, then parts and types as ones and zeros."""
    columns = [2 * relative_depths(modules) - 1]
    for names in ([m.part for m in modules], [m.type for m in modules]):
        # sorted, so that a network does not depend on the order in which modules are listed
        columns += [np.array([float(n == known) for n in names]) for known in sorted(set(names))]
    return np.stack(columns, axis=1)
