"""What telling costs the one who trains: the same loop with and without events, interleaved.

``python -m benchmarks.live.overhead``; home and Redis come from the environment. Prints JSON.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.live.speaker import add_run, begin, step_done
from rankscope.models.events import Event
from rankscope.models.reading import parse_config
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.storage.stream import Stream
from rankscope.tasks.batches import Collator
from rankscope.tasks.build import assemble

NUM_PAIRS = 16
STEPS_PER_BLOCK = 40
"""Two seconds and more: several transactions, and dozens of round trips to Redis."""


def training_step() -> Callable[[], float]:
    """One optimizer step of the embedded model at the demo's size."""
    config = parse_config({"data": {"kind": "scenes"}, "scheduler": {"kind": "uniform"}})
    built = assemble(config, Settings().roots, lambda _: None)
    model = built.tuning.model
    batch = Collator(built.splits.train, built.vlm.processor)(range(16))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def step() -> float:
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def block_s(step: Callable[[], float], tell: Callable[[Event], None] | None) -> list[float]:
    """Seconds of every step of a block."""
    times_s = []
    for number in range(1, STEPS_PER_BLOCK + 1):
        started_s = time.perf_counter()
        step()
        if tell is not None:
            tell(step_done(number))
        times_s.append(time.perf_counter() - started_s)
    return times_s


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    settings = Settings()
    engine = open_database(settings.database_url)
    step = training_step()
    block_s(step, None)
    ratios, silent_s = [], []
    for pair in range(NUM_PAIRS):
        medians = {}
        for is_told in (False, True) if pair % 2 else (True, False):
            if is_told:
                run_id = add_run(engine, "overhead", STEPS_PER_BLOCK)
                with begin(engine, run_id, Stream(settings.live_url)) as sink:
                    sink.flush()
                    medians[True] = statistics.median(block_s(step, sink.emit))
            else:
                medians[False] = statistics.median(block_s(step, None))
        silent_s.append(medians[False])
        ratios.append(medians[True] / medians[False] - 1)
    run_id = add_run(engine, "emit", 10_000)
    with begin(engine, run_id, Stream(settings.live_url)) as sink:
        started_s = time.perf_counter()
        for number in range(1, 10_001):
            sink.emit(step_done(number))
        emit_us = 1e6 * (time.perf_counter() - started_s) / 10_000
    answer = {
        "overhead_fraction": statistics.median(ratios),
        "overhead_quartiles": statistics.quantiles(ratios, n=4)[::2],
        "step_ms": 1000 * statistics.median(silent_s),
        "emit_us": emit_us,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
