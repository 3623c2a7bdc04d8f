"""How long a run would take: by recorded runs like it, else by its operations."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from rankscope.models.cost.activations import Batch
from rankscope.models.cost.formats import number_format_of
from rankscope.models.cost.pace import Range, Speed, around, assumed_speed, seconds
from rankscope.models.cost.work import NOTHING, Work, answers, forward, step
from rankscope.models.inventory import Inventory
from rankscope.models.rank_bounds import initial_states
from rankscope.models.schedulers.contract import KnockOut, Measure, ProbeLoss, RankPlanner, View
from rankscope.storage.durations import recorded_pace
from rankscope.storage.settings import Settings
from rankscope.storage.speeds import measured_speed
from rankscope.tasks.estimating import PROBE_ROWS, Subject
from rankscope.tasks.machine import Device, num_cores

_START_S = Range(low=5.0, high=20.0)
"""A process, its libraries and a model of any size in a warm file cache."""
_FEWEST_ANSWER_TOKENS = 2
_BACKWARD_PASSES = 3
"""Forward passes that a forward and a backward pass together cost."""


class TimeEstimate(BaseModel):
    """Seconds, as ranges."""

    model_config = ConfigDict(frozen=True)

    step_s: Range = Field(description="One optimizer step alone.")
    total_s: Range = Field(description="The whole run with scores and measurements.")
    scores_s: Range | None = Field(description="Of the total; None where runs were recorded.")
    measurements_s: Range | None = Field(description="Of the total, the scheduler's.")
    kind: Literal["recorded", "operations"]
    basis: str = Field(description="What it rests on, for people.")


def time_of(
    subject: Subject, device: Device, settings: Settings, engine: Engine | None
) -> TimeEstimate | None:
    """By recorded runs where there are any like it; None where not even its sizes are known."""
    if engine is not None:
        recorded = _recorded(subject, engine)
        if recorded is not None:
            return recorded
    if subject.lengths is None:
        return None
    return _by_operations(subject, speed_of(subject, device, settings))


def speed_of(subject: Subject, device: Device, settings: Settings) -> Speed:
    """What this machine was measured to do, else what is assumed of one like it."""
    number_format = number_format_of(subject.formats)
    sharers = subject.config.training.num_processes
    num_threads = subject.config.model.threads or max(1, num_cores() // sharers)
    found = measured_speed(settings, device.name, number_format, num_threads)
    if found is None:
        return assumed_speed(device.kind, num_threads)
    threads = f", threads: {found.num_threads}" if device.kind == "cpu" else ""
    return Speed(
        flops_per_s=found.flops_per_s,
        call_s=found.call_s,
        basis=f"{found.flops_per_s / 1e9:,.0f} GFLOP/s measured here on a {number_format} matrix "
        f"product ({device.name}{threads})",
    )


def _recorded(subject: Subject, engine: Engine) -> TimeEstimate | None:
    config = subject.config
    pace = recorded_pace(engine, config)
    if pace is None:
        return None
    same = "model, data set, batch size, precision and processes"
    if pace.is_same_scheduler:
        same = "model, data set, batch size, precision, processes and scheduler"
    if pace.num_runs > 1:
        basis = f"least and most of {pace.num_runs} recorded runs with the same {same}"
    else:
        basis = f"1 recorded run with the same {same}, a quarter more or less assumed"
    per_step = around(pace.least_s, pace.seconds_per_step, pace.most_s, pace.num_runs)
    stretch = per_step.times(1 / pace.seconds_per_step)
    return TimeEstimate(
        step_s=per_step if pace.step_s is None else stretch.times(pace.step_s),
        total_s=per_step.times(config.training.steps),
        scores_s=None,
        measurements_s=None,
        kind="recorded",
        basis=basis,
    )


def _by_operations(subject: Subject, speed: Speed) -> TimeEstimate:
    work = _step_work(subject)
    one = seconds(work, work, speed)
    scores = seconds(*_scores_work(subject), speed)
    measurements = seconds(*_measurements_work(subject), speed)
    steps = one.times(subject.config.training.steps)
    return TimeEstimate(
        step_s=one,
        total_s=steps.plus(scores).plus(measurements).plus(_START_S),
        scores_s=scores,
        measurements_s=measurements,
        kind="operations",
        basis=f"no recorded run like it; operations counted, {speed.basis}",
    )


def _step_work(subject: Subject) -> Work:
    """Of batches of typical length, in each of the run's processes."""
    training = subject.config.training
    return step(
        subject.linears,
        subject.trained,
        _batch(subject, training.batch_size // training.num_processes),
        num_batches=training.accumulation_steps,
        checkpointing=subject.checkpointing,
    )


def _scores_work(subject: Subject) -> tuple[Work, Work]:
    """Answers to validation and test, of the fewest and of the most tokens; validation's loss."""
    most = subject.config.evaluation.batch_size
    fewest = min(_FEWEST_ANSWER_TOKENS, subject.answer_tokens)
    short, long = NOTHING, NOTHING
    for items in (*subject.validations(), *subject.tests()):
        for rows, number in ((most, items // most), (items % most, 1)):
            if rows and number:
                batch = _batch(subject, rows)
                args = (subject.linears, subject.trained, batch)
                short = short.plus(answers(*args, answer_tokens=fewest).times(number))
                long = long.plus(answers(*args, answer_tokens=subject.answer_tokens).times(number))
    losses = sum(subject.validations())
    loss = forward(subject.linears, subject.trained, _batch(subject, 1)).flops * losses
    return short.plus(Work(loss, 0)), long.plus(Work(loss, 0))


def _measurements_work(subject: Subject) -> tuple[Work, Work]:
    """Of a planner's events: as many passes each as it asks for at its first one, or half."""
    items = _items_of_an_event(subject)
    if not items:
        return NOTHING, NOTHING
    events = sum(s > 0 for s in subject.planned.ranks_decided_at_steps) or 1
    rows = min(PROBE_ROWS, subject.probe_items)
    batch = _batch(subject, rows)
    passes = forward(subject.linears, subject.trained, batch).times(items / rows * events)
    return passes.times(0.5), passes


def _items_of_an_event(subject: Subject) -> int:
    """Forward passes of single items that the planner's first measurement costs."""
    config, planner = subject.config, subject.config.scheduler
    if not isinstance(planner, RankPlanner) or not planner.most_probe_items:
        return 0
    ranks = {module.name: module.rank for module in subject.planned.modules}
    adapted = tuple(m for m in subject.linears.modules if m.name in ranks)
    inventory = Inventory(modules=adapted, total_params=subject.linears.total_params)
    modules = [
        state.model_copy(update={"rank": ranks[state.name]})
        for state in initial_states(inventory, config.lora)
    ]
    steps = subject.planned.ranks_decided_at_steps
    view = View(
        step=next((s for s in steps if s > 0), 0),
        num_steps=config.training.steps,
        budget=subject.planned.budget_params,
        seed=config.seed,
        modules=tuple(modules),
    )
    decision, _ = planner.plan(view, {})
    if not isinstance(decision, Measure):
        return 0
    items = 0
    for request in decision.requests:
        match request:
            case KnockOut():
                items += (len(request.groups) + 1) * request.num_items
            case ProbeLoss():
                items += request.num_items
            case _:
                items += _BACKWARD_PASSES * request.num_items
    return items


def _batch(subject: Subject, rows: int) -> Batch:
    assert subject.lengths is not None
    return Batch(rows, subject.lengths.typical_tokens, rows * subject.lengths.pictures)
