"""Tiny benchmarks in the format of the official files, of which each test writes its own."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from rankscope.models.benchmarks import Gqa, MmBench, Mme, Pope, ScienceQa, TextVqa
from rankscope.models.benchmarks.contract import Benchmark
from rankscope.models.benchmarks.mme import COGNITION, PERCEPTION

SHORT = "\nAnswer the question using a single word or phrase."
Rows = Iterable[Mapping[str, Any]]


def picture(folder: Path, relative: str) -> None:
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (200, 10, 10)).save(path)


def base64_picture(shade: int = 0) -> str:
    content = BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 0)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def jsonl(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def whole_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def gqa(folder: Path) -> Gqa:
    """Two open questions, one to verify and one to choose."""
    rows = [
        ("201", "n1.jpg", "What color is the cap?", "red", "query", "attr"),
        ("202", "n1.jpg", "Is it overcast?", "no", "verify", "global"),
        ("203", "n2.jpg", "Who is there?", "man", "query", "rel"),
        ("204", "n2.jpg", "Is it a cat or a dog?", "dog", "choose", "obj"),
    ]
    for _, name, *_ in rows:
        picture(folder / "images", name)
    return Gqa(
        question_file=jsonl(
            folder / "llava_gqa_testdev_balanced.jsonl",
            (
                {"question_id": key, "image": image, "text": words + SHORT, "category": "default"}
                for key, image, words, *_ in rows
            ),
        ),
        annotation_file=whole_json(
            folder / "testdev_balanced_questions.json",
            {
                key: {
                    "question": words,
                    "imageId": image.removesuffix(".jpg"),
                    "answer": answer,
                    "types": {"structural": structural, "semantic": semantic},
                    "isBalanced": True,
                }
                for key, image, words, answer, structural, semantic in rows
            },
        ),
        image_dir=folder / "images",
    )


def science_qa(folder: Path) -> ScienceQa:
    """Two questions with a picture, of 4 and 2 choices, and one without."""
    problems = {
        "5": ("Which is it?", ["iron", "gold", "salt", "ice"], 1, True, "natural science"),
        "7": ("True or false?", ["true", "false"], 0, True, "natural science"),
        "9": ("Which word?", ["service", "stockade", "shot"], 2, False, "language science"),
    }
    for key, (_, _, _, has_picture, _) in problems.items():
        if has_picture:
            picture(folder / "test", f"{key}/image.png")

    def row(key: str) -> dict[str, Any]:
        words, choices, answer, has_picture, _ = problems[key]
        listed = "".join(
            f"\n{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=False)
        )
        value = f"<image>\n{words}{listed}" if has_picture else f"{words}{listed}"
        said = [{"from": "human", "value": value}, {"from": "gpt", "value": "ABCD"[answer]}]
        image = {"image": f"{key}/image.png"} if has_picture else {}
        return {"id": key, **image, "conversations": said}

    return ScienceQa(
        question_file=whole_json(folder / "llava_test_CQM-A.json", [row(key) for key in problems]),
        problem_file=whole_json(
            folder / "problems.json",
            {
                key: {
                    "question": words,
                    "choices": choices,
                    "answer": answer,
                    "hint": "",
                    "image": "image.png" if has_picture else None,
                    "subject": subject,
                }
                for key, (words, choices, answer, has_picture, subject) in problems.items()
            },
        ),
        split_file=whole_json(folder / "pid_splits.json", {"train": ["1"], "test": [*problems]}),
        image_dir=folder / "test",
    )


def text_vqa(folder: Path, *, shown: bool = True) -> TextVqa:
    """Two questions about one picture; people agree on the first and differ on the second."""
    rows = [
        (34602, "what is the brand of this camera?", ["dakota"] * 10),
        (34603, "what year is it?", ["2012"] * 4 + ["2,012.", "Twelve", "12", "the 12", "", "no"]),
    ]
    picture(folder / "train_images", "003a.jpg")
    annotations = whole_json(
        folder / "TextVQA_0.5.1_val.json",
        {
            "dataset_type": "val",
            "data": [
                {"question_id": key, "image_id": "003a", "question": words, "answers": answers}
                for key, words, answers in rows
            ],
        },
    )
    questions = jsonl(
        folder / "llava_textvqa_val_v051_ocr.jsonl",
        (
            {
                "question_id": "003a",
                "image": "003a.jpg",
                "text": f"{words.capitalize()}\nReference OCR token: DAKOTA, DIGITAL{SHORT}",
                "category": "default",
            }
            for _, words, _ in rows
        ),
    )
    return TextVqa(
        annotation_file=annotations,
        image_dir=folder / "train_images",
        ocr_tokens="shown" if shown else "hidden",
        question_file=questions if shown else None,
    )


POPE_LABELS: Mapping[str, Sequence[str]] = {
    "adversarial": ("yes", "no", "yes", "no"),
    "random": ("yes", "no"),
    "popular": ("no", "no"),
}


def pope(folder: Path) -> Pope:
    """Eight questions, numbered anew for each category as LLaVA does."""
    picture(folder / "val2014", "COCO_1.jpg")
    questions, names = [], ("dog", "cat", "cup", "car")
    for first_id, (category, labels) in zip(
        (0, 10_000_000, 20_000_000), POPE_LABELS.items(), strict=True
    ):
        rows = [
            {
                "question_id": number,
                "image": "COCO_1.jpg",
                "text": f"Is there a {name} in the image?",
                "label": label,
            }
            for number, (name, label) in enumerate(zip(names, labels, strict=False), start=1)
        ]
        jsonl(folder / "coco" / f"coco_pope_{category}.json", rows)
        questions += [
            {
                "question_id": first_id + number,
                "image": "COCO_1.jpg",
                "text": f"{row['text']}{SHORT}",
                "category": category,
            }
            for number, row in enumerate(rows, start=1)
        ]
    return Pope(
        question_file=jsonl(folder / "llava_pope_test.jsonl", questions),
        label_dir=folder / "coco",
        image_dir=folder / "val2014",
    )


def mme(folder: Path) -> Mme:
    """One picture of each task; in artwork pictures and texts have folders of their own."""
    data, rows = folder / "MME_Benchmark_release_version", []
    for task in PERCEPTION + COGNITION:
        has_folders = task == "artwork"
        name = f"{task}/images/0001.jpg" if has_folders else f"{task}/0001.jpg"
        text = f"{task}/questions_answers_YN/0001.txt" if has_folders else f"{task}/0001.txt"
        picture(data, name)
        (data / text).parent.mkdir(exist_ok=True)
        # Some of the official texts have two spaces before the last sentence.
        (data / text).write_text(
            "Is it red? Please answer yes or no.\tYes\nIs it blue?  Please answer yes or no.\tNo\n",
            "utf-8",
        )
        rows += [
            {"question_id": name, "image": name, "text": words + SHORT, "category": task}
            for words in ("Is it red?", "Is it blue?")
        ]
    return Mme(question_file=jsonl(folder / "llava_mme.jsonl", rows), data_dir=data)


MMBENCH_COLUMNS = (
    *("index", "question", "hint", "A", "B", "C", "D", "answer"),
    *("category", "image", "source", "l2-category", "comment", "split"),
)
Table = Sequence[Sequence[str]]


def mmbench_rows() -> list[list[str]]:
    """A question of three options with its three rotations, and one of two with its two."""
    first, second = base64_picture(1), base64_picture(2)
    ends = ["src", "perception", "", "dev"]
    return [
        ["3", "Which?", "look", "oak", "elm", "ash", "", "B", "nature", first, *ends],
        ["8", "Open?", "", "yes", "no", "", "", "A", "state", second, *ends],
        ["1000003", "Which?", "look", "ash", "oak", "elm", "", "C", "nature", first, *ends],
        ["1000008", "Open?", "", "no", "yes", "", "", "B", "state", second, *ends],
        ["2000003", "Which?", "look", "elm", "ash", "oak", "", "A", "nature", first, *ends],
    ]


def mmbench_table(folder: Path, rows: Table, columns: Sequence[str] = MMBENCH_COLUMNS) -> MmBench:
    path = folder / "mmbench_dev_en_20231003.tsv"
    lines = ["\t".join(cells) for cells in (columns, *rows)]
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return MmBench(table_file=path)


def mmbench(folder: Path) -> MmBench:
    return mmbench_table(folder, mmbench_rows())


WRITERS: Mapping[type[Benchmark], Callable[[Path], Benchmark]] = {
    Gqa: gqa,
    ScienceQa: science_qa,
    TextVqa: text_vqa,
    Pope: pope,
    Mme: mme,
    MmBench: mmbench,
}
"""Who writes the files of each benchmark."""
