"""What a browser is told of an event: the same form from the live event and from its stored row.

Every form has ``k`` (its kind), ``id`` (the event's id, which is the cursor), ``step`` and ``at``
(seconds since the epoch), and is plain JSON without NaN.
"""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Evaluated,
    Event,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
    Resumed,
    StatusChanged,
    StepDone,
)
from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.places import short_name
from rankscope.storage.intervals import wilson

Form = dict[str, Any]
"""Plain JSON."""

RELOAD = "reload"
"""On the wire in place of a form: what is shown is void or lacks its frame; read it afresh."""
_MAX_TEXT_CHARACTERS = 20_000
"""Of one log line; a browser gets no more."""
_PLACE = set(AdaptableModule.model_fields)


class Head(NamedTuple):
    """What every form begins with."""

    id: int
    step: int
    at: float

    def form(self, kind: str, rest: Form) -> Form:
        """The form of this head."""
        return {"k": kind, **self._asdict(), **rest}


def wire_text(event: Event, event_id: int, index_of: Mapping[str, int]) -> str:
    """The event as it travels: JSON of its form, ``RELOAD``, or "" where nothing is shown.

    Args:
        event: What happened.
        event_id: Its id within the run.
        index_of: Module name -> place in the run's inventory.
    """
    # training begins: by now inventory and sizes, which are no events, are in the database
    is_start = isinstance(event, ParamsSampled) and event.step == 0 and event.sample == 0
    if isinstance(event, Resumed) or is_start:
        return RELOAD
    form = form_of(event, event_id, index_of)
    return "" if form is None else to_json(form)


def form_of(event: Event, event_id: int, index_of: Mapping[str, int]) -> Form | None:
    """The event's form; None for ``ParamsSampled``, of which the run's row keeps the largest."""
    head = Head(event_id, event.step, event.time)
    form: Form | None = None
    match event:
        case StepDone():
            names = ("loss", "lr", "grad_norm", "step_s")
            form = head.form("step", {name: finite(getattr(event, name)) for name in names})
        case RanksChanged():
            pairs = sorted((index_of[name], rank) for name, rank in event.ranks.items())
            form = ranks_form(head, event.cause, event.moved_params, event.live_params, pairs)
        case Decided():
            modules = [m.model_dump(include={*_PLACE, "rank"}) for m in event.view.modules]
            form = decided_form(head, modules, event.decision.model_dump(), index_of)
        case Measured():
            form = measured_form(head, event.model_dump())
        case Evaluated():
            form = evaluated_form(head, **event.model_dump(exclude={"kind", "step", "time"}))
        case CheckpointSaved():
            form = checkpoint_form(head, event.path, event.size_bytes)
        case StatusChanged():
            form = head.form("status", {"status": event.status, "reason": event.reason})
        case Resumed():
            form = head.form("resumed", {"attempt": event.attempt, "from_start": event.from_start})
        case LogLine():
            form = log_form(head, event.level, event.text)
        case ParamsSampled():
            pass
    return form


def to_json(content: object) -> str:
    """Compact JSON that every browser reads.

    Raises:
        ValueError: If it holds NaN or an infinity.
    """
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def finite(number: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return number if number is not None and math.isfinite(number) else None


def ranks_form(
    head: Head, cause: str, moved: int, live: int, pairs: Iterable[tuple[int, int]]
) -> Form:
    """New ranks; ``pairs`` of module index and rank, ``moved`` and ``live`` in parameters."""
    modules, ranks = [], []
    for index, rank in pairs:
        modules.append(index)
        ranks.append(rank)
    return head.form(
        "ranks",
        {"cause": cause, "moved": moved, "live": live, "modules": modules, "ranks": ranks},
    )


def decided_form(
    head: Head,
    modules: Sequence[Mapping[str, Any]],
    decision: Mapping[str, Any],
    index_of: Mapping[str, int],
) -> Form:
    """A decision with its moves, best predicted gain first, gains in nats of probe loss.

    ``realised`` is what became of the decision's own move; it is known from the next decision on,
    where it is ``realised_before``. See ``fill_in_realised``.

    Args:
        head: When.
        modules: What the planner saw of each module: place and rank.
        decision: Its ``Keep`` or ``Apply`` as a mapping.
        index_of: Module name -> place in the run's inventory.
    """
    moves = _moves(modules, decision, index_of)
    figured = [move for move in moves if move["gain"] is not None]
    return head.form(
        "decided",
        {
            "kind": decision["kind"],
            "reason": decision["reason"],
            "gain": finite(decision.get("predicted_gain")),
            "gain_sd": finite(decision.get("predicted_gain_sd")),
            "threshold": finite(decision.get("threshold")),
            "realised": None,
            "realised_before": finite(decision.get("realised_gain")),
            "winner": figured[0]["name"] if figured else None,
            "loser": figured[-1]["name"] if figured else None,
            "moves": moves,
        },
    )


def fill_in_realised(decisions: Sequence[Form]) -> None:
    """Give every decision that moved something the effect that the next decision measured."""
    for this, following in itertools.pairwise(decisions):
        if this["kind"] == "apply":
            this["realised"] = following["realised_before"]


def measured_form(head: Head, measured: Mapping[str, Any]) -> Form:
    """What a planner had measured; ``probe_loss`` with every adapter on, in nats per item."""
    asked = []
    for request in measured["request"]["requests"] if measured["request"] else ():
        what = str(request["kind"]).replace("_", " ")
        groups = f" of {len(request['groups'])} groups" if "groups" in request else ""
        asked.append(f"{what}{groups} on {request['num_items']} items")
    losses = [result for result in measured["results"] if "loss" in result]
    return head.form(
        "measured",
        {
            "what": ", ".join(asked) or "start from training data",
            "cost_s": measured["cost_s"],
            "cost_items": measured["cost_items"],
            "probe_loss": finite(losses[0]["loss"]) if losses else None,
            "probe_loss_se": finite(losses[0].get("loss_se")) if losses else None,
        },
    )


def evaluated_form(
    head: Head,
    *,
    part: str,
    when: str,
    accuracy: float,
    accuracy_by_skill: Mapping[str, float | None],
    correct: Sequence[bool] | int,
    duration_s: float,
    loss: float | None = None,
) -> Form:
    """A score with its 95 % interval over items; ``correct`` per item, or how many items.

    ``loss`` is the mean over the same items in nats, where it was measured.
    """
    num_items = correct if isinstance(correct, int) else len(correct)
    interval = wilson(accuracy, num_items) if num_items else None
    return head.form(
        "evaluated",
        {
            "part": part,
            "when": when,
            "accuracy": accuracy,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "num_items": num_items,
            "accuracy_by_skill": {skill: finite(x) for skill, x in accuracy_by_skill.items()},
            "duration_s": duration_s,
            "loss": finite(loss),
        },
    )


def checkpoint_form(head: Head, path: str, size_bytes: int) -> Form:
    """A saved training state; ``path`` is relative to the run's folder."""
    return head.form("checkpoint", {"path": path, "size_bytes": size_bytes})


def log_form(head: Head, level: str, text: str) -> Form:
    """A line for people, cut where it is longer than anybody reads."""
    return head.form("log", {"level": level, "text": text[:_MAX_TEXT_CHARACTERS]})


def _moves(
    modules: Sequence[Mapping[str, Any]], decision: Mapping[str, Any], index_of: Mapping[str, int]
) -> list[Form]:
    """Modules whose rank changes, best predicted gain first; those without a figure last."""
    state_of = {module["name"]: module for module in modules}
    reasons: Mapping[str, Mapping[str, Any]] = decision.get("reasons") or {}
    moves: list[Form] = []
    gains: list[float] = []
    for name, rank in (decision.get("ranks") or {}).items():
        old = state_of[name]
        if rank == old["rank"]:
            continue
        reason = reasons.get(name, {})
        gain = finite(reason.get("predicted_gain"))
        place = AdaptableModule.model_construct(**{key: old[key] for key in _PLACE})
        moves.append(
            {
                "module": index_of[name],
                "name": short_name(place),
                "from": old["rank"],
                "to": rank,
                "reason": reason.get("text", ""),
                "gain": gain,
                "gain_sd": finite(reason.get("predicted_gain_sd")),
            }
        )
        gains.append(-math.inf if gain is None else gain)
    order = sorted(range(len(moves)), key=lambda i: -gains[i])
    return [moves[i] for i in order]
