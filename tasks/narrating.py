"""What a run says in one line for people: the log that its page and its file show."""

from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Evaluated,
    Event,
    Failed,
    Measured,
    RanksChanged,
    Resumed,
)


def line_of(event: Event) -> str | None:
    """A sentence about an event; None for those that come at every step or speak for themselves."""
    line: str | None = None
    match event:
        case Evaluated():
            line = (
                f"accuracy on {event.part} ({event.when.replace('_', ' ')}) "
                f"{100 * event.accuracy:.1f} % of {len(event.correct):,} items, "
                f"{event.duration_s:.1f} s"
            )
        case RanksChanged(cause="start"):
            line = f"first ranks: {event.live_params:,} adapter parameters"
        case RanksChanged(cause="scheduler"):
            line = (
                f"ranks of {len(event.ranks)} modules changed, {event.moved_params:,} parameters "
                f"moved, {event.live_params:,} live"
            )
        case Decided(decision=Failed()):
            line = f"scheduler failed, ranks stay to the end: {event.decision.reason}"
        case Decided():
            verb = "moves" if event.decision.kind == "apply" else "keeps"
            line = f"scheduler {verb} ranks: {event.decision.reason}"
        case Measured(request=None):
            line = f"set out from training data: {event.cost_items:,} items, {event.cost_s:.1f} s"
        case Measured():
            line = f"measured for the scheduler: {event.cost_items:,} items, {event.cost_s:.1f} s"
        case CheckpointSaved():
            line = f"saved {event.path}, {event.size_bytes / 1000:,.0f} kB"
        case Resumed():
            place = "the start" if event.from_start else f"step {event.step}"
            line = f"attempt {event.attempt} goes on from {place}"
        case _:
            pass
    return line
