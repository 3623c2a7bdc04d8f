"""POPE's official files in the smallest size, for whole evaluations."""

import json
from pathlib import Path

from PIL import Image

CATEGORIES = {"adversarial": 0, "popular": 10_000_000, "random": 20_000_000}
COLOURS = ("red", "green", "blue", "yellow", "white")
END = "\nAnswer the question using a single word or phrase."


def write_pope(folder: Path, num_per_category: int, *, end: str = END) -> None:
    """Questions about colours, labelled yes and no in turn, under the names that POPE gives.

    Args:
        folder: Made if missing.
        num_per_category: Questions of each of the three.
        end: What follows a question; the embedded model knows "" only.
    """
    (folder / "val2014").mkdir(parents=True)
    (folder / "coco").mkdir()
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (30 + 5 * number, 24), colour).save(folder / "val2014" / f"{colour}.jpg")
    asked = []
    for category, first in CATEGORIES.items():
        rows = [_row(number) for number in range(num_per_category)]
        _write(folder / "coco" / f"coco_pope_{category}.json", rows)
        asked += [
            {
                "question_id": first + number,
                "image": row["image"],
                "text": f"{row['text']}{end}",
                "category": category,
            }
            for number, row in enumerate(rows)
        ]
    _write(folder / "llava_pope_test.jsonl", asked)


def _row(number: int) -> dict[str, str | int]:
    colour = COLOURS[number % len(COLOURS)]
    # questions of several lengths, so that batches are padded
    words = "one " * (number % 3) + colour
    return {
        "question_id": number,
        "image": f"{COLOURS[number // len(COLOURS) % len(COLOURS)]}.jpg",
        "text": f"Is there {words} in the image?",
        "label": "yes" if number % 2 else "no",
    }


def _write(path: Path, rows: list[dict[str, str | int]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
