"""Ranks given module by module: what a person chose, or what another run ended with."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    View,
)

_ENOUGH_LIKE = 0.6
"""Least similarity of a suggested name; difflib's own default."""


class Fixed(RankPlanner):
    """Train at exactly the given ranks; modules left out get their minimum.

    With the final ranks of another run and its learning-rate factors, this is the same allocation
    without the path that led to it: what is left of a dynamic scheduler's gain came from the ranks,
    what is gone came from moving them.
    """

    kind: Literal["fixed"] = "fixed"
    ranks: dict[str, Annotated[int, Field(ge=0, le=4096)]] = Field(
        default_factory=dict,
        description="Rank by full path of a module; modules left out get the minimum rank.",
    )
    lr_factors: dict[str, Annotated[float, Field(ge=0, le=100)]] | None = Field(
        None,
        title="Learning-rate factors",
        description="Factor on the learning rate by full path of a module, 1 where left out.",
    )
    origin: str = Field(
        "",
        max_length=1000,
        title="Where the ranks come from",
        description="For people; runs that name the same origin are compared as one configuration "
        "though each has ranks of its own.",
    )

    @override
    def check(self, view: View) -> None:
        states = {module.name: module for module in view.modules}
        _check_names("ranks", self.ranks, states)
        _check_names("lr_factors", self.lr_factors or {}, states)
        for name, rank in self.ranks.items():
            _check_rank(states[name], rank)
        params = sum(m.cost * self.ranks.get(m.name, _least(m)) for m in view.modules)
        if params > view.budget:
            raise ValueError(
                f"scheduler.ranks must fit the budget of {view.budget:,} parameters, with the "
                f"minimum ranks of the other modules they take {params:,}; lower ranks or raise "
                "the budget"
            )
        if params == 0:
            raise ValueError(
                "scheduler.ranks must give at least one module a rank, got none; "
                "add modules by their full path"
            )

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        ranks = {module.name: _least(module) for module in view.modules} | self.ranks
        decision = Apply(
            ranks=ranks,
            reasons=dict.fromkeys(self.ranks, Reason(text="given")),
            lr_factors=self.lr_factors,
            reason=f"ranks given for {len(self.ranks)} of {len(view.modules)} modules",
        )
        return decision, memory


def _least(module: ModuleState) -> int:
    return module.rank if module.pinned else module.min_rank


def _check_names(field: str, given: Mapping[str, object], states: Mapping[str, object]) -> None:
    unknown = [name for name in given if name not in states]
    if not unknown:
        return
    rest = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    like = difflib.get_close_matches(unknown[0], states, n=1, cutoff=_ENOUGH_LIKE)
    known = like[0] if like else next(iter(states))
    raise ValueError(
        f"scheduler.{field} must name adapted modules by their full path, "
        f"got {unknown[0]!r}{rest}; write for instance {known!r}, "
        "or widen lora.targets and lora.parts"
    )


def _check_rank(module: ModuleState, rank: int) -> None:
    if module.pinned and rank != module.rank:
        raise ValueError(
            f"scheduler.ranks must agree with lora.pins, which hold {module.name} at "
            f"{module.rank}, got {rank}; change one of them"
        )
    if not module.min_rank <= rank <= module.max_rank:
        raise ValueError(
            f"scheduler.ranks must lie in {module.min_rank}..{module.max_rank} for {module.name}, "
            f"got {rank}; change it, lora.min_rank or lora.max_rank"
        )
    if rank % module.multiple:
        raise ValueError(
            f"scheduler.ranks must be multiples of lora.rank_multiple={module.multiple}, "
            f"got {rank} for {module.name}; round it"
        )
