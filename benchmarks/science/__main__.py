"""Who wins at equal budget: ``python -m benchmarks.science --preset tune|quick|standard|...``.

Every run is a run of the product, recorded in a database of its own under ``--home``; what is done
is not run again. Progress goes to stderr, Markdown tables to stdout, whose last line is one JSON
object. The same as JSON with every run lies in ``--home``; ``--save`` keeps it under
benchmarks/results too.

``python -m benchmarks.science render`` trains nothing: it writes the generated sections of
docs/results.md and their figures from benchmarks/results.
"""

import argparse
import json
import os
import signal
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType

from benchmarks.science.presets import Options, run_preset
from benchmarks.science.protocol import ProtocolError, read_protocol
from benchmarks.science.rendering import render
from rankscope.models.reading import ConfigError


def main() -> int:
    """Run a preset, or write the document."""
    protocol, _ = read_protocol()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.science",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=["run", "render"], default="run", help="default: run a preset"
    )
    parser.add_argument("--preset", choices=list(protocol.presets), default="standard")
    parser.add_argument(
        "--arms", nargs="+", metavar="ARM", help="only these of the preset's, or others"
    )
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="only these")
    parser.add_argument(
        "--num-seeds", type=int, metavar="N", help="only the preset's first so many"
    )
    parser.add_argument("--again", nargs="+", default=[], metavar="ARM", help="run these anew")
    parser.add_argument("--home", type=Path, default=Path("runs") / "science")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print the JSON object alone")
    parser.add_argument("--save", action="store_true", help="keep the result under benchmarks/")
    given = parser.parse_args()
    if given.what == "render":
        return _render()
    options = Options(
        preset=given.preset,
        arms=given.arms,
        tasks=given.tasks,
        num_seeds=given.num_seeds,
        again=frozenset(given.again),
        home=given.home.resolve(),
        jobs=given.jobs,
        saves=given.save,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    return show(options, table=not given.json)


def show(options: Options, *, table: bool) -> int:
    """Run a preset and print its tables, if wanted, and its JSON object; returns the exit code."""
    try:
        tables, answer = run_preset(options)
    except (ProtocolError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, BrokenProcessPool):
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    if table:
        print(tables, end="\n\n")
    print(json.dumps(answer))
    return 0


def _render() -> int:
    try:
        changed = render()
    except ProtocolError as error:
        print(error, file=sys.stderr)
        return 2
    for path in changed:
        print(path)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
