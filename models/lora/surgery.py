"""Swap a parameter inside a live Adam optimizer and hand its moments over."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from rankscope.models.lora.moments import Moments

_ADAM_KEYS = frozenset({"step", "exp_avg", "exp_avg_sq"})


class OptimizerSurgery:
    """Reads and replaces the entries of an Adam or AdamW optimizer, fused or not.

    Args:
        optimizer: The optimizer itself or a wrapper that holds it as ``.optimizer``, such as
            accelerate's; None where nothing is being trained yet, which makes a swap a no-op.
    """

    def __init__(self, optimizer: Optimizer | None, *, keeps_moments: bool = True) -> None:
        self._optimizer: Optimizer | None = getattr(optimizer, "optimizer", optimizer)
        self._keeps_moments = keeps_moments

    def check(self, parameters: Iterable[nn.Parameter]) -> None:
        """Refuse before anything is touched what could not be carried over.

        Raises:
            ValueError: If a trainable parameter is in none of the optimizer's groups, or its state
                is not plain Adam's.
        """
        if self._optimizer is None:
            return
        held = {id(p) for group in self._groups() for p in group["params"]}
        for parameter in parameters:
            if parameter.requires_grad and id(parameter) not in held:
                raise ValueError(
                    "a resized adapter's parameters must be in the optimizer, got one of shape "
                    f"{tuple(parameter.shape)} in no group; pass the optimizer that trains it"
                )
            unknown = self._state(parameter).keys() - _ADAM_KEYS
            if unknown:
                raise ValueError(
                    f"the optimizer's state must be plain Adam's {sorted(_ADAM_KEYS)}, got also "
                    f"{sorted(unknown)}; train with AdamW without amsgrad"
                )

    def moments(self, parameter: nn.Parameter) -> Moments | None:
        """The parameter's state in its own layout; None before its first step, or to be dropped."""
        state = self._state(parameter)
        if not state or not self._keeps_moments:
            return None
        group = next(g for g in self._groups() if any(p is parameter for p in g["params"]))
        beta1, beta2 = group["betas"]
        return Moments(state["step"], state["exp_avg"], state["exp_avg_sq"], beta1, beta2)

    def swap(self, old: nn.Parameter, new: nn.Parameter, moments: Moments | None) -> None:
        """Put ``new`` where ``old`` was, same group and index, with the given state or none."""
        if self._optimizer is None:
            return
        for group in self._groups():
            group["params"][:] = [new if p is old else p for p in group["params"]]
        self._optimizer.state.pop(old, None)
        if moments is not None:
            self._optimizer.state[new] = {
                "step": moments.step,
                "exp_avg": moments.first.contiguous(),
                "exp_avg_sq": moments.second.contiguous(),
            }

    def _state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        # .get, because the optimizer's defaultdict would create an entry for a frozen parameter.
        return {} if self._optimizer is None else self._optimizer.state.get(parameter, {})

    def _groups(self) -> list[dict[str, Any]]:
        return [] if self._optimizer is None else self._optimizer.param_groups
