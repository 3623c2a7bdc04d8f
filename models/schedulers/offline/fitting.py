"""Effects of one family's tasks from the final losses of its runs.

log loss of run i = (group) + (seed) - sum over modules of u_m * x_im + noise,

with x the time mean of log(1 + rank) and u_m = exp(level of the task + effects of the module). What
all runs of a group have in common drops out; what the runs of one seed share is a random effect.

Shape letters: I runs (of one group: G), M modules, T tasks, E effects without the level, P = T + E
parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from rankscope.models.inventory import FloatArray, IntArray
from rankscope.models.schedulers.offline.past_runs import FamilyRuns
from rankscope.models.schedulers.performance.effects import LEVEL_SD

MAX_ROUNDS = 20
"""Of Gauss-Newton; from the last fit's parameters three are usual."""

MAX_HALVINGS = 12
CONVERGED = 1e-6
"""A round that lowers the objective by less is the last."""

WEAKEST_LEVEL = 1e-3
"""A family whose better-looking allocations do worse begins at this share of its spread."""


class NoiseSds(NamedTuple):
    """What two runs of one allocation differ by, in log loss."""

    run: float
    seed: float
    """The part that runs of one seed share."""


class NoiseSums(NamedTuple):
    """One family's share of the next estimate of the noise."""

    run_squares: float
    num_runs: int
    seed_squares: float
    num_cells: int


@dataclass(frozen=True)
class FamilyFit:
    """The mode of the parameters, levels first, and the Gaussian there.

    Args:
        mean_P: Mode.
        covariance_PP: Inverse of the posterior's curvature.
        information_EE: What the runs alone say about the effects, levels left free.
        noise: For the next estimate.
    """

    mean_P: FloatArray
    covariance_PP: FloatArray
    information_EE: FloatArray
    noise: NoiseSums


@dataclass(frozen=True)
class _Problem:
    data: FamilyRuns
    design_ME: FloatArray
    prior_mean_P: FloatArray
    prior_precision_PP: FloatArray
    noise: NoiseSds

    @property
    def num_tasks(self) -> int:
        return int(self.data.task_I.max()) + 1

    def log_utilities(self, mean_P: FloatArray, task: int) -> FloatArray:
        log_utilities_M: FloatArray = mean_P[task] + self.design_ME @ mean_P[self.num_tasks :]
        return log_utilities_M

    def groups(self) -> Iterator["_Group"]:
        for number in range(int(self.data.group_I.max()) + 1):
            rows = np.flatnonzero(self.data.group_I == number)
            yield _Group.of(rows, self.data.cell_I[rows], self.noise)

    def errors_and_slopes(
        self, mean_P: FloatArray, rows_G: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """errors_G up to what the group has in common, and their slopes slope_GP."""
        task = int(self.data.task_I[rows_G[0]])
        utilities_M = np.exp(self.log_utilities(mean_P, task))
        parts_GM = self.data.log_ranks_IM[rows_G] * utilities_M
        slope_GP = np.zeros((rows_G.size, mean_P.size))
        slope_GP[:, task] = parts_GM.sum(axis=1)
        slope_GP[:, self.num_tasks :] = parts_GM @ self.design_ME
        return self.data.log_loss_I[rows_G] + parts_GM.sum(axis=1), slope_GP

    def objective(self, mean_P: FloatArray) -> float:
        away_P = mean_P - self.prior_mean_P
        total = float(away_P @ self.prior_precision_PP @ away_P)
        for group in self.groups():
            errors_G, _ = self.errors_and_slopes(mean_P, group.rows_G)
            total += float(errors_G @ group.precision_GG @ errors_G)
        return total / 2

    def curvature(self, mean_P: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of the runs alone: information_PP, and slope_P of half the squared errors."""
        information_PP = np.zeros((mean_P.size, mean_P.size))
        slope_P = np.zeros(mean_P.size)
        for group in self.groups():
            errors_G, slope_GP = self.errors_and_slopes(mean_P, group.rows_G)
            weighted_GP = group.precision_GG @ slope_GP
            information_PP += slope_GP.T @ weighted_GP
            slope_P += weighted_GP.T @ errors_G
        return information_PP, slope_P


@dataclass(frozen=True)
class _Group:
    """Runs that compare: the precision of their errors once their common part is taken out."""

    rows_G: IntArray
    seeds_GC: FloatArray
    precision_GG: FloatArray

    @classmethod
    def of(cls, rows_G: IntArray, cells_G: IntArray, noise: NoiseSds) -> Self:
        seeds_GC = (cells_G[:, None] == np.unique(cells_G)).astype(np.float64)
        covariance_GG = noise.run**2 * np.eye(rows_G.size)
        covariance_GG += noise.seed**2 * seeds_GC @ seeds_GC.T
        inverse_GG: FloatArray = np.linalg.inv(covariance_GG).astype(np.float64)
        ones_G = inverse_GG.sum(axis=1)
        return cls(rows_G, seeds_GC, inverse_GG - np.outer(ones_G, ones_G) / ones_G.sum())


def fit(
    data: FamilyRuns,
    design_ME: FloatArray,
    prior: tuple[FloatArray, FloatArray],
    noise: NoiseSds,
    start_P: FloatArray | None,
) -> FamilyFit:
    """The posterior of one family's parameters, by Gauss-Newton with halved steps.

    Args:
        data: The family's runs.
        design_ME: Effects of each module.
        prior: mean_E and covariance_EE of the effects; levels are open.
        noise: Taken as known.
        start_P: An earlier fit's mode, if there is one.
    """
    num_tasks = int(data.task_I.max()) + 1
    prior_mean_P = np.concatenate([np.zeros(num_tasks), prior[0]])
    precision_PP = np.zeros((prior_mean_P.size, prior_mean_P.size))
    precision_PP[:num_tasks, :num_tasks] = np.eye(num_tasks) / LEVEL_SD**2
    precision_PP[num_tasks:, num_tasks:] = np.linalg.inv(prior[1])
    problem = _Problem(data, design_ME, prior_mean_P, precision_PP, noise)
    mean_P = _start(problem) if start_P is None else start_P
    before = problem.objective(mean_P)
    for _ in range(MAX_ROUNDS):
        information_PP, slope_P = problem.curvature(mean_P)
        slope_P = slope_P + precision_PP @ (mean_P - prior_mean_P)
        step_P = np.linalg.solve(information_PP + precision_PP, -slope_P)
        mean_P, after = _downhill(problem, mean_P, step_P, before)
        if before - after < CONVERGED:
            break
        before = after
    information_PP, _ = problem.curvature(mean_P)
    covariance_PP: FloatArray = np.linalg.inv(information_PP + precision_PP).astype(np.float64)
    return FamilyFit(
        mean_P,
        covariance_PP,
        _without_levels(information_PP, num_tasks),
        _noise_sums(problem, mean_P, covariance_PP),
    )


def _downhill(
    problem: _Problem, mean_P: FloatArray, step_P: FloatArray, before: float
) -> tuple[FloatArray, float]:
    """The first of the whole step, its half, ... that lowers the objective, or no step."""
    portion = 1.0
    for _ in range(MAX_HALVINGS):
        trial_P = mean_P + portion * step_P
        # longer than this the exponentials of a trial mean nothing
        if np.abs(portion * step_P).max() < LEVEL_SD:
            after = problem.objective(trial_P)
            if after < before:
                return trial_P, after
        portion /= 2
    return mean_P, before


def _start(problem: _Problem) -> FloatArray:
    """The prior, with every task's level at its regression on the prior's utilities."""
    mean_P = problem.prior_mean_P.copy()
    log_ranks_IM, data = problem.data.log_ranks_IM, problem.data
    for task in range(problem.num_tasks):
        rows = np.flatnonzero(data.task_I == task)
        utilities_M = np.exp(problem.log_utilities(mean_P, task))
        worth_I = data.centred(log_ranks_IM @ utilities_M)[rows]
        loss_I = data.centred(data.log_loss_I)[rows]
        scale = float(np.sqrt(np.mean(loss_I**2) / max(float(np.mean(worth_I**2)), 1e-12)))
        slope = -float(worth_I @ loss_I) / max(float(worth_I @ worth_I), 1e-12)
        mean_P[task] = np.log(max(slope, WEAKEST_LEVEL * scale, 1e-9))
    return mean_P


def _without_levels(information_PP: FloatArray, num_tasks: int) -> FloatArray:
    """Of the effects, the levels integrated out."""
    levels = information_PP[:num_tasks, :num_tasks] + np.eye(num_tasks) / LEVEL_SD**2
    cross = information_PP[:num_tasks, num_tasks:]
    information_EE: FloatArray = information_PP[num_tasks:, num_tasks:] - cross.T @ np.linalg.solve(
        levels, cross
    )
    return information_EE


def _noise_sums(problem: _Problem, mean_P: FloatArray, covariance_PP: FloatArray) -> NoiseSums:
    """Expected squares of noise and seeds given the runs.

    Source: restricted maximum likelihood by expectation-maximisation, Searle, Casella & McCulloch
        1992, Variance Components, section 8.3.
    """
    run, seed = problem.noise
    run_squares = seed_squares = 0.0
    num_cells = 0
    for group in problem.groups():
        errors_G, slope_GP = problem.errors_and_slopes(mean_P, group.rows_G)
        weighted_G = group.precision_GG @ errors_G
        weighted_GP = group.precision_GG @ slope_GP
        precision_GG = group.precision_GG - weighted_GP @ covariance_PP @ weighted_GP.T
        size = group.rows_G.size
        run_squares += size * run**2 + run**4 * float(
            weighted_G @ weighted_G - np.trace(precision_GG)
        )
        seeds_C = group.seeds_GC.T @ weighted_G
        seen_CC = group.seeds_GC.T @ precision_GG @ group.seeds_GC
        num_cells += seeds_C.size
        seed_squares += seeds_C.size * seed**2 + seed**4 * float(
            seeds_C @ seeds_C - np.trace(seen_CC)
        )
    return NoiseSums(run_squares, len(problem.data.runs), seed_squares, num_cells)
