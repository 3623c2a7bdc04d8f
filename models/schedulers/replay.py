"""What another planner would have decided on a recorded run: no training, recorded statistics.

The replayed planner keeps its own ranks. The losses it sees are those of the run as it was, so its
answers are off-policy as soon as its ranks differ from the recorded ones; each decision says so.
"""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.schedulers.checked import checked
from rankscope.models.schedulers.contract import (
    MAX_MEASURE_ROUNDS,
    Apply,
    GradientEnergyResult,
    HeldOutCreditResult,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    MeasurementResult,
    Memory,
    RankPlanner,
    View,
    WeightSensitivityResult,
)

_OF_ANY_SIZE = (GradientEnergyResult, HeldOutCreditResult, WeightSensitivityResult)
"""Answers about every module, which stand for the same question with more or fewer items."""


class RecordedDecision(BaseModel):
    """What a run recorded at one decision: the view, and the measurements asked and answered."""

    model_config = ConfigDict(frozen=True)

    view: View
    measured: tuple[tuple[MeasurementRequest, MeasurementResult], ...] = ()


class ReplayedDecision(BaseModel):
    """One decision of the replayed planner."""

    model_config = ConfigDict(frozen=True)

    step: int
    decision: Apply | Keep | None = Field(
        description="None where a measurement that was not recorded stood in the way."
    )
    ranks: dict[str, int] = Field(description="The replayed planner's ranks after it.")
    params: int = Field(description="Adapter parameters of those ranks.")
    view_of_step: int = Field(description="The recorded view that was shown, the latest there is.")
    is_off_policy: bool = Field(description="Whether its ranks differed from the recorded ones.")
    not_recorded: tuple[str, ...] = Field(
        (), description="Kinds of measurements it asked for that the run did not record."
    )


def replay(
    planner: RankPlanner, recorded: Sequence[RecordedDecision]
) -> tuple[ReplayedDecision, ...]:
    """Let ``planner`` decide on the views of a recorded run.

    Args:
        planner: Any planner.
        recorded: The run's decisions in order, the first at step 0.

    Raises:
        ValueError: Nothing was recorded, or the planner cannot work with the run's modules.
        PlannerError: The planner broke its contract.
    """
    if not recorded:
        raise ValueError(
            "a replay needs recorded decisions, this run has none; "
            "replay a run whose scheduler is a planner"
        )
    ranks = {module.name: module.rank for module in recorded[0].view.modules}
    planner.check(recorded[0].view)
    memory: Memory = {}
    decisions = []
    for step in planner.decision_steps(recorded[0].view.num_steps):
        shown = _latest(recorded, step)
        view = _with_ranks(shown.view, step, ranks)
        off_policy = any(m.rank != ranks[m.name] for m in shown.view.modules)
        measured = shown.measured if shown.view.step == step else ()
        decision, missing, memory = _decide(planner, view, memory, measured)
        if isinstance(decision, Apply):
            ranks |= decision.ranks
        decisions.append(
            ReplayedDecision(
                step=step,
                decision=decision,
                ranks=dict(ranks),
                params=sum(m.cost * ranks[m.name] for m in view.modules),
                view_of_step=shown.view.step,
                is_off_policy=off_policy,
                not_recorded=missing,
            )
        )
    return tuple(decisions)


def _decide(
    planner: RankPlanner,
    view: View,
    memory: Memory,
    measured: Iterable[tuple[MeasurementRequest, MeasurementResult]],
) -> tuple[Apply | Keep | None, tuple[str, ...], Memory]:
    """The decision, or the kinds of measurements missing; memory changes only with a decision."""
    thought = memory
    for _ in range(MAX_MEASURE_ROUNDS):
        decision, thought = checked(planner, view, planner.plan(view, thought))
        if not isinstance(decision, Measure):
            return decision, (), thought
        answers = [_recorded_answer(request, measured) for request in decision.requests]
        found = tuple(answer for answer in answers if answer is not None)
        if len(found) < len(answers):
            missing = {
                request.kind
                for request, answer in zip(decision.requests, answers, strict=True)
                if answer is None
            }
            return None, tuple(sorted(missing)), memory
        view = view.model_copy(update={"measurements": (*view.measurements, *found)})
    raise ValueError(
        f"a planner must decide after at most {MAX_MEASURE_ROUNDS} measurements, "
        f"{planner.kind} asked for more at step {view.step}; mend its plan()"
    )


def _recorded_answer(
    request: MeasurementRequest,
    measured: Iterable[tuple[MeasurementRequest, MeasurementResult]],
) -> MeasurementResult | None:
    """The recorded answer to the same question; knock-outs may be a part of what was measured."""
    for asked, answer in measured:
        if asked == request:
            return answer
        if (
            isinstance(request, KnockOut)
            and isinstance(asked, KnockOut)
            and isinstance(answer, KnockOutResult)
            and request.groups.items() <= asked.groups.items()
        ):
            return KnockOutResult(
                loss=answer.loss,
                rise={group: answer.rise[group] for group in request.groups},
                rise_se={group: answer.rise_se[group] for group in request.groups},
            )
        if isinstance(answer, _OF_ANY_SIZE) and asked.kind == request.kind:
            # A fixed number of probe items is the only difference there can be.
            return answer
    return None


def _latest(recorded: Sequence[RecordedDecision], step: int) -> RecordedDecision:
    at_or_before = [one for one in recorded if one.view.step <= step]
    return at_or_before[-1] if at_or_before else recorded[0]


def _with_ranks(view: View, step: int, ranks: dict[str, int]) -> View:
    modules = tuple(
        module
        if module.rank == ranks[module.name]
        # Statistics of components that the replayed planner does not have are not its to see.
        else module.model_copy(
            update={"rank": ranks[module.name], "saliency": None, "singular_values": None}
        )
        for module in view.modules
    )
    return view.model_copy(update={"step": step, "modules": modules, "measurements": ()})
