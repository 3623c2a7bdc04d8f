"""How fast people see what a run does, and what that costs: ``python -m benchmarks.live --json``.

A run speaks at 20 events/s through the real sink; the real web process shows it to a real Chromium
and to further viewers that only read. The same stream is then shown by gr.Plot and gr.Timer. The
table stands above; the last line of stdout is a JSON object (CPU in cores, ratios peer over ours).
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Browser
from sqlalchemy import Engine

from benchmarks.live import browser as watching
from benchmarks.live.speaker import add_run, begin, change, step_done
from rankscope.app.up import private_valkey
from rankscope.storage import history
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings

VIEWERS = (1, 10, 50)
NUM_STEPS = 10_000
LONG_STEPS = 100_000
NUM_OPENINGS = 7
SETTLE_S = 4.0
"""Before a showing counts, and for what was said last to be painted and recorded."""
RESULT = Path(__file__).parents[1] / "results" / "live.json"
PEER = "gr.Plot + gr.Timer(1 s)"


@dataclass(frozen=True)
class Shown:
    """One showing: delays from event to paint, CPU of the web process in cores."""

    viewers: int
    p50_ms: float
    p95_ms: float
    cell_p50_ms: float | None
    cell_p95_ms: float | None
    events: int
    cpu: float


class Stage:
    """A home with Redis and a database, and the processes that play on it."""

    def __init__(self, home: Path, port: int) -> None:
        self.settings = Settings(rankscope_home=home)
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._environment = os.environ | {"RANKSCOPE_HOME": str(home), "OMP_NUM_THREADS": "1"}

    @contextmanager
    def process(self, *command: str, answers: str = "") -> Iterator[psutil.Process]:
        """A process for as long as the block lasts, once ``answers`` (a path) does."""
        started = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)
        try:
            if answers:
                self._wait_for(answers, started)
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(30)

    def module(self, name: str, *arguments: str) -> tuple[str, ...]:
        """Command of a Python module."""
        return (sys.executable, "-m", name, *arguments)

    def output_of(self, module: str) -> dict[str, float]:
        """JSON on the last line of what a module prints."""
        done = subprocess.run(
            self.module(module), env=self._environment, stdout=subprocess.PIPE, check=True
        )
        answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def _wait_for(self, path: str, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.address}{path}", timeout=5).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"nothing answers at {self.address}; see what it printed above")


def show(
    stage: Stage, engine: Engine, browser: Browser, kind: str, viewers: int, seconds: float
) -> Shown:
    """One run of ``seconds`` before ``viewers``, of whom one is a real page."""
    _say(f"{kind}: {viewers} viewers")
    run_id = add_run(engine, f"live {kind} {viewers}", NUM_STEPS)
    is_ours = kind == "ours"
    command = (
        (sys.executable, "-P", "-m", "rankscope.app", "web", "--port", str(stage.port))
        if is_ours
        else stage.module("benchmarks.live.peer", run_id, str(stage.port))
    )
    cell = 'td[data-module="model.layers.0.q_proj"]'
    place = f"/run?run={run_id}" if is_ours else "/"
    with (
        stage.process(*command, answers="/healthz" if is_ours else "/config") as web,
        stage.process(
            *stage.module("benchmarks.live.viewers", kind, stage.address, str(viewers - 1), run_id)
        ),
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with stage.process(*stage.module("benchmarks.live.speaker", run_id)):
            while not history.rank_map(engine, run_id):
                time.sleep(0.1)
            watching.watch(page, f"http://{stage.address}{place}", cell)
            time.sleep(SETTLE_S)
            from_s, cpu_s = time.time(), _cpu_s(web)
            time.sleep(seconds)
            until_s, cpu_s = time.time(), _cpu_s(web) - cpu_s
            time.sleep(SETTLE_S)
        seen = watching.painted(page)
        page.close()
    return _shown(engine, run_id, viewers, seen, (from_s, until_s), cpu_s)


def _shown(
    engine: Engine,
    run_id: str,
    viewers: int,
    seen: watching.Painted,
    window: tuple[float, float],
    cpu_s: float,
) -> Shown:
    from_s, until_s = window
    metrics = history.metrics(engine, run_id)
    said = [
        (moment, step)
        for moment, step in zip(metrics["time"].tolist(), metrics["step"].tolist(), strict=True)
        if from_s <= moment <= until_s
    ]
    ranks = history.rank_history(engine, run_id)
    first = ranks[(ranks["module"] == "model.layers.0.q_proj") & (ranks["step"] > 0)]
    cells = [
        (moment, rank)
        for moment, rank in zip(first["time"].tolist(), first["rank"].tolist(), strict=True)
        if from_s <= moment <= until_s
    ]
    delays = watching.delays_ms(said, [(moment, step) for moment, step, _ in seen])
    in_cells = watching.cell_delays_ms(cells, seen)
    return Shown(
        viewers=viewers,
        p50_ms=_quantile(delays, 0.5),
        p95_ms=_quantile(delays, 0.95),
        cell_p50_ms=_quantile(in_cells, 0.5) if in_cells else None,
        cell_p95_ms=_quantile(in_cells, 0.95) if in_cells else None,
        events=len(delays),
        cpu=cpu_s / (until_s - from_s),
    )


def open_long_run(stage: Stage, engine: Engine, browser: Browser) -> list[float]:
    """Seconds to the painted page of a run of 100,000 steps; the first without the cache."""
    run_id = add_run(engine, "long", LONG_STEPS)
    with begin(engine, run_id, None) as sink:
        for step in range(1, LONG_STEPS + 1):
            sink.emit(step_done(step))
            if step % 1000 == 0:
                sink.emit(change(step))
    command = (sys.executable, "-P", "-m", "rankscope.app", "web", "--port", str(stage.port))
    with stage.process(*command, answers="/healthz"):
        address = f"http://{stage.address}/run?run={run_id}"
        # one context, as one person's browser: scripts are cached after the first time
        person = browser.new_context(viewport={"width": 1280, "height": 900})
        opened_s = [watching.open_s(person, address) for _ in range(1 + NUM_OPENINGS)]
        person.close()
        return opened_s


def table_of(ours: Sequence[Shown], peer: Sequence[Shown]) -> str:
    """Both as Markdown."""
    lines = [
        "| shown by | viewers | p50 / p95 ms | cell p50 / p95 ms | CPU of the web process |",
        "|---|---|---|---|---|",
    ]
    for name, rows in (("Rankscope", ours), (PEER, peer)):
        for row in rows:
            cell = f"{row.cell_p50_ms:.0f} / {row.cell_p95_ms:.0f}" if row.cell_p50_ms else "–"
            lines.append(
                f"| {name} | {row.viewers} | {row.p50_ms:.0f} / {row.p95_ms:.0f} | {cell} "
                f"| {100 * row.cpu:.1f} % of a core |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure all and print the table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each showing")
    parser.add_argument("--port", type=int, default=7960)
    parser.add_argument("--save", action="store_true", help=f"write {RESULT.name} too")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no process is left behind
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="rankscope-live-") as name:
        stage = Stage(Path(name), arguments.port)
        engine = open_database(stage.settings.database_url)
        migrate(engine)
        with stage.process(*private_valkey.command(stage.settings)):
            private_valkey.answers(stage.settings)
            _say("overhead of telling")
            told = stage.output_of("benchmarks.live.overhead")
            with watching.chromium() as browser:
                _say("opening a long run")
                openings = open_long_run(stage, engine, browser)
                ours, peer = (
                    [show(stage, engine, browser, kind, n, arguments.seconds) for n in VIEWERS]
                    for kind in ("ours", "peer")
                )
        engine.dispose()
    answer = {
        **_figures(ours),
        "page_open_s": statistics.median(openings[1:]),
        "overhead_fraction": told["overhead_fraction"],
        "peers": {PEER: _figures(peer) | _ratios(ours, peer)},
    }
    details = {
        "ours": [asdict(row) for row in ours],
        "peer": [asdict(row) for row in peer],
        "page_open_s": openings,
        "overhead": told,
        "cores": os.cpu_count(),
    }
    if arguments.save:
        RESULT.write_text(json.dumps(answer | {"details": details}, indent=1) + "\n")
    if not arguments.json:
        print(table_of(ours, peer))
        print(json.dumps(details))
    print(json.dumps(answer))


def _figures(rows: Sequence[Shown]) -> dict[str, float]:
    one, many = rows[0], rows[-1]
    return {"p95_ms_1": one.p95_ms, "p95_ms_50": many.p95_ms, "cpu_50": many.cpu}


def _ratios(ours: Sequence[Shown], peer: Sequence[Shown]) -> dict[str, float]:
    pairs = zip(_figures(ours).items(), _figures(peer).values(), strict=True)
    return {f"{name}_ratio": theirs / own for (name, own), theirs in pairs}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _quantile(values: Sequence[float], fraction: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(fraction * (len(ordered) - 1)))]


if __name__ == "__main__":
    main()
