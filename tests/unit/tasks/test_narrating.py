import pytest

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
from rankscope.models.schedulers.contract import View
from rankscope.tasks.narrating import line_of

AT = {"step": 4, "time": 1.0}
VIEW = View(step=4, num_steps=8, budget=64, seed=0, modules=())
MOVED = {"ranks": {"a": 1, "b": 0}, "moved_params": 1234, "live_params": 13056}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            Evaluated(
                **AT, part="test", when="shuffled_images", accuracy=0.25, accuracy_by_skill={},
                correct=(True, False, False, False), duration_s=0.52,
            ),
            "accuracy on test (shuffled images) 25.0 % of 4 items, 0.5 s",
        ),
        (
            RanksChanged(**AT, **MOVED, cause="scheduler"),
            "ranks of 2 modules changed, 1,234 parameters moved, 13,056 live",
        ),
        (RanksChanged(**AT, **MOVED, cause="observed"), None),
        (
            Measured(**AT, request=None, results=(), cost_s=0.46, cost_items=1536),
            "set out from training data: 1,536 items, 0.5 s",
        ),
        (
            Decided(**AT, view=VIEW, decision=Failed(reason="no luck")),
            "scheduler failed, ranks stay to the end: no luck",
        ),
        (CheckpointSaved(**AT, path="checkpoints/x", size_bytes=2400), "saved checkpoints/x, 2 kB"),
        (Resumed(**AT, attempt=2), "attempt 2 goes on from step 4"),
        (Resumed(**AT, attempt=2, from_start=True), "attempt 2 goes on from the start"),
    ],
    ids=["score", "move", "observed", "prepared", "failed", "checkpoint", "resumed", "from start"],
)  # fmt: skip
def test_events_read_as_sentences(event: Event, line: str | None) -> None:
    assert line_of(event) == line
