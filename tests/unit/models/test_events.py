"""What a run can say survives JSON, and nothing else gets in."""

import typing

import pytest
from pydantic import TypeAdapter, ValidationError

from rankscope.models.events import (
    LIVE_STATUSES,
    OPEN_STATUSES,
    CheckpointSaved,
    Decided,
    Evaluated,
    Event,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
    Resumed,
    RunStatus,
    StatusChanged,
    StepDone,
)
from rankscope.models.schedulers.contract import (
    Apply,
    KnockOut,
    KnockOutResult,
    Measure,
    ModuleState,
    Reason,
    View,
)

ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)

STATE = ModuleState(
    name="a", part="language", layer=0, type="q_proj", d_in=4, d_out=4, rank=1, min_rank=0,
    max_rank=4, saliency=(0.25,),
)  # fmt: skip
VIEW = View(step=3, num_steps=9, budget=8, seed=1, modules=(STATE,), train_loss=2.5)
DECISION = Apply(ranks={"a": 0}, reasons={"a": Reason(text="idle")}, reason="sure")
QUESTION = Measure(requests=(KnockOut(groups={"layer 0": ("a",)}, num_items=2),))
ANSWER = KnockOutResult(loss=1.5, rise={"layer 0": 0.5}, rise_se={"layer 0": 0.25})

EVERY_EVENT: tuple[Event, ...] = (
    StatusChanged(step=0, time=1.5, status="failed", reason="no disk"),
    StepDone(step=1, time=1.5, loss=2.0, lr=0.01, grad_norm=None, step_s=0.5),
    RanksChanged(
        step=3, time=1.5, ranks={"a": 2}, cause="scheduler", moved_params=4, live_params=16
    ),
    Decided(step=3, time=1.5, view=VIEW, decision=DECISION),
    Measured(step=3, time=1.5, request=QUESTION, results=(ANSWER,), cost_s=0.5, cost_items=4),
    ParamsSampled(step=3, time=1.5, live_params=16, sample=2),
    Evaluated(
        step=9, time=1.5, part="test", when="after", accuracy=0.5, accuracy_by_skill={"shape": 0.5},
        correct=(True, False), duration_s=0.5,
    ),
    CheckpointSaved(step=9, time=1.5, path="checkpoints/step-9", size_bytes=7),
    Resumed(step=4, time=1.5, attempt=2),
    LogLine(step=4, time=1.5, level="warning", text="slow"),
)  # fmt: skip


def test_every_kind_of_event_is_tried_here() -> None:
    union = typing.get_args(Event)[0]
    assert {type(event) for event in EVERY_EVENT} == set(typing.get_args(union))


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.kind)
def test_an_event_comes_back_from_json_as_its_own_kind(event: Event) -> None:
    again = ADAPTER.validate_json(ADAPTER.dump_json(event))
    assert type(again) is type(event)
    assert again == event


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.kind)
def test_an_event_takes_no_unknown_field_and_no_negative_step(event: Event) -> None:
    content = event.model_dump()
    for wrong in ({"colour": "red"}, {"step": -1}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            ADAPTER.validate_python(content | wrong)


def test_an_event_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        EVERY_EVENT[0].step = 7  # type: ignore[misc]


def test_a_question_to_measure_is_no_decision() -> None:
    with pytest.raises(ValidationError, match="decision"):
        ADAPTER.validate_python(
            {"kind": "decided", "step": 0, "time": 0.0, "view": VIEW, "decision": QUESTION}
        )


def test_a_run_is_open_in_four_statuses_and_has_ended_in_the_other_four() -> None:
    ended = set(typing.get_args(RunStatus)) - OPEN_STATUSES
    assert ended == {"done", "failed", "stopped", "lost"}
    assert {"queued", "starting", "running", "paused"} == OPEN_STATUSES


def test_a_run_that_waits_is_open_but_nobodys_to_write_to() -> None:
    assert {"queued"} == OPEN_STATUSES - LIVE_STATUSES
