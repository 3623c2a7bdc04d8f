"""Ranks by a rule of thumb: some modules share the whole budget, the others get the minimum."""

import re
from collections.abc import Callable, Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from rankscope.models.schedulers.allocation import in_order, uniform_ranks
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    View,
)
from rankscope.models.schedulers.places import is_attention, is_late, is_mlp, language_depth

Where = Literal["mlp", "attention", "late", "late_mlp", "pattern"]


class Static(RankPlanner):
    """Give the selected modules equal ranks for the whole budget.

    ``mlp`` is the strongest control of RANK_SPIKE_2.md (C3): any claim for a scheduler is made
    against it. ``mlp`` and ``attention`` select in every part that has adapters, ``late`` and
    ``late_mlp`` in the later half of the language model's layers.
    """

    kind: Literal["static"] = "static"
    where: Where = Field("mlp", description="Which modules share the budget.")
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Regular expression found in a module's full path; for where: pattern.",
    )

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(
                f"pattern must be a regular expression, got {pattern!r} ({error}); mend it"
            ) from error
        return pattern

    @model_validator(mode="after")
    def _pattern_has_an_effect(self) -> Self:
        if self.where == "pattern" and self.pattern is None:
            raise ValueError("where: pattern needs a pattern, got none; give one or another where")
        if self.where != "pattern" and self.pattern is not None:
            raise ValueError(
                f"pattern has an effect with where: pattern only, got where: {self.where}; "
                "remove the pattern or set where: pattern"
            )
        return self

    @override
    def check(self, view: View) -> None:
        if not self.selected(view.modules):
            known = ", ".join(sorted({m.type for m in view.modules}))
            raise ValueError(
                f"the static scheduler must select at least one module, {self._name} selects none "
                f"of the types {known}; choose another rule or widen the adapters' targets"
            )

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        self.check(view)
        modules = in_order(view.modules)
        selected = self.selected(modules)
        least = [
            m.model_copy(update={"max_rank": m.min_rank}) if m.name not in selected else m
            for m in modules
        ]
        ranks = uniform_ranks(least, view.budget)
        reasons = {
            name: Reason(text=f"{'' if name in selected else 'not '}selected by {self._name}")
            for name in ranks
        }
        text = f"{len(selected)} of {len(modules)} modules share the budget: {self._name}"
        return Apply(ranks=ranks, reasons=reasons, reason=text), memory

    @property
    def _name(self) -> str:
        return f"pattern {self.pattern!r}" if self.where == "pattern" else self.where

    def selected(self, modules: Sequence[ModuleState]) -> frozenset[str]:
        """Names of the modules that share the budget."""
        depth = language_depth(modules)
        rules: dict[Where, Callable[[ModuleState], bool]] = {
            "mlp": is_mlp,
            "attention": is_attention,
            "late": lambda m: is_late(m, depth),
            "late_mlp": lambda m: is_late(m, depth) and is_mlp(m),
            "pattern": lambda m: re.search(self.pattern or "", m.name) is not None,
        }
        return frozenset(m.name for m in modules if rules[self.where](m))
