"""Predicted against measured: ``python -m benchmarks.cost``; a process per case, one thread.

Prints a table and, as the last line, JSON; ``--keep`` writes it to benchmarks/results/cost.json.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cost.measuring import Case, measured

CASES = (
    Case("embedded", 16, 16, rank=1, steps=10),
    Case("embedded", 16, 16, rank=1, training="bf16", steps=10),
    Case("embedded", 64, 16, rank=4, parts=("vision", "language"), steps=10),
    Case("tiny LLaVA", 8, 64, steps=10),
    Case("tiny LLaVA", 8, 64, checkpointing=True, steps=10),
    Case("tiny MobileVLM", 8, 64, full_parts=("projector",), steps=10),
    Case("tiny MobileVLM", 8, 64, base="bf16", training="bf16", steps=10),
    Case("middle MobileVLM", 4, 256, rank=8, full_parts=("projector",), steps=2),
    Case("middle MobileVLM", 4, 256, rank=8, checkpointing=True, steps=2),
    Case("middle MobileVLM", 4, 256, rank=8, base="bf16", training="bf16", steps=2),
)
RESULT = Path(__file__).parents[1] / "results" / "cost.json"


def main() -> int:
    """Measure every case, or the one that stands in the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/cost.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is not None:
        print(json.dumps(measured(_case(json.loads(arguments.case)))))
        return 0
    rows = [_in_a_process(case) for case in CASES]
    answer = {"cases": rows, "load": os.getloadavg()[0]}
    print(table(rows))
    if arguments.keep:
        RESULT.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(answer))
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    """Ratios predicted over measured, in Markdown."""
    lines = [
        "| case | kept for backward, MB | ratio | resident, MB | ratio | step, s | predicted, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        said, seen = row["predicted"], row["measured"]
        cells = [row["case"]["name"]]
        for key in ("kept_bytes", "resident_bytes"):
            cells += [f"{seen[key] / 1e6:,.1f}", f"{said[key] / seen[key]:.2f}"]
        cells += [f"{seen['step_s']:.3g}"]
        cells += [f"{said['step_low_s']:.2g} to {said['step_high_s']:.2g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_a_process(case: Case) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.cost"]
    done = subprocess.run(
        [*command, "--case", json.dumps(asdict(case))],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _case(told: dict[str, Any]) -> Case:
    parts = {name: tuple(told[name]) for name in ("parts", "full_parts")}
    return Case(**(told | parts))


if __name__ == "__main__":
    raise SystemExit(main())
