"""Whether what a planner answered keeps its contract; the same before, in and after training."""

import json
import math

from pydantic import ValidationError

from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    Measure,
    Memory,
    RankPlanner,
    View,
)


class PlannerError(RuntimeError):
    """A planner broke its contract; the message says rule, value and remedy."""


def checked(planner: RankPlanner, view: View, answer: object) -> tuple[Decision, Memory]:
    """What ``plan`` returned, seen to be a decision within budget and bounds, and JSON.

    The memory comes back as a checkpoint would give it.

    Raises:
        PlannerError: It is not.
    """
    who = f"{planner.kind} at step {view.step}"
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PlannerError(
            f"a planner must return a decision and its memory, {who} returned "
            f"{type(answer).__name__}; mend its plan()"
        )
    given, memory = answer
    if not isinstance(given, Keep | Apply | Measure):
        raise PlannerError(
            f"a planner must decide Keep, Apply or Measure, {who} gave "
            f"{type(given).__name__}; mend its plan()"
        )
    decision = _well_formed(given, who)
    if isinstance(decision, Apply):
        _check_names(view, decision, who)
        _check_ranks(view, decision, who)
        _check_lr_factors(decision, who)
    return decision, _plain(memory, who)


def _well_formed(decision: Decision, who: str) -> Decision:
    """The decision validated anew: copies that update fields or leave validation out are not."""
    try:
        return type(decision).model_validate(decision.model_dump(warnings="none"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PlannerError(
            f"a planner's decision must be well formed, that of {who} is not "
            f"({place}: {first['msg']}); mend its plan()"
        ) from error


def _check_names(view: View, decision: Apply, who: str) -> None:
    named = decision.ranks.keys() | (decision.lr_factors or {}).keys()
    unknown = sorted(named - {module.name for module in view.modules})
    if unknown:
        raise PlannerError(f"a planner may name known modules only, {who} named {unknown[0]}")


def _check_ranks(view: View, decision: Apply, who: str) -> None:
    params = 0
    for module in view.modules:
        rank = decision.ranks.get(module.name, module.rank)
        if not module.min_rank <= rank <= module.max_rank:
            raise PlannerError(
                f"the rank of {module.name} must lie in {module.min_rank}..{module.max_rank}, "
                f"{who} gave {rank}"
            )
        if module.pinned and rank != module.rank:
            raise PlannerError(
                f"{module.name} is pinned and must stay at rank {module.rank}, {who} gave {rank}"
            )
        if rank % module.multiple:
            raise PlannerError(
                f"the rank of {module.name} must be a multiple of {module.multiple}, "
                f"{who} gave {rank}"
            )
        params += module.cost * rank
    if params > view.budget:
        raise PlannerError(
            f"adapters must stay within {view.budget:,} parameters, {who} planned {params:,}"
        )


def _check_lr_factors(decision: Apply, who: str) -> None:
    for name, factor in (decision.lr_factors or {}).items():
        if not 0 <= factor < math.inf:
            raise PlannerError(
                f"a learning-rate factor must be finite and at least 0, {who} gave {factor} "
                f"to {name}"
            )


def _plain(memory: object, who: str) -> Memory:
    try:
        plain = json.loads(json.dumps(memory, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PlannerError(
            f"a planner's memory must be plain JSON, that of {who} is not ({error}); mend its "
            "plan()"
        ) from error
    if not isinstance(plain, dict):
        raise PlannerError(
            f"a planner's memory must be a mapping, {who} gave {type(memory).__name__}; "
            "mend its plan()"
        )
    return plain
