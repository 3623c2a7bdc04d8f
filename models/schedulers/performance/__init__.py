"""The performance models there are; a new one is one file and one name here."""

from typing import Literal

from rankscope.models.schedulers.performance.bayesian_linear import BayesianLinear
from rankscope.models.schedulers.performance.contract import PerformanceModel
from rankscope.models.schedulers.performance.gaussian_process import GaussianProcess
from rankscope.models.schedulers.performance.mlp_ensemble import MlpEnsemble

PerformanceModelKind = Literal["bayesian_linear", "gaussian_process", "mlp_ensemble"]

PERFORMANCE_MODELS: dict[PerformanceModelKind, type[PerformanceModel]] = {
    "bayesian_linear": BayesianLinear,
    "gaussian_process": GaussianProcess,
    "mlp_ensemble": MlpEnsemble,
}
