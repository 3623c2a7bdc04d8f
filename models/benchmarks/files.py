"""Where the files of a benchmark lie: below one folder by their official names, or one by one.

All of them must lie below the data root, whoever names them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rankscope.models.benchmarks import BENCHMARKS, AnyBenchmark
from rankscope.models.benchmarks.contract import Item

OFFICIAL_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "gqa": {
        "question_file": ("llava_gqa_testdev_balanced.jsonl",),
        "annotation_file": ("testdev_balanced_questions.json",),
        "image_dir": ("images",),
    },
    "science_qa": {
        "question_file": ("llava_test_CQM-A.json",),
        "problem_file": ("problems.json",),
        "split_file": ("pid_splits.json",),
        "image_dir": ("test",),
    },
    "text_vqa": {
        "question_file": ("llava_textvqa_val_v051_ocr.jsonl",),
        "annotation_file": ("TextVQA_0.5.1_val.json",),
        "image_dir": ("train_images",),
    },
    "pope": {
        "question_file": ("llava_pope_test.jsonl",),
        "label_dir": ("coco",),
        "image_dir": ("val2014",),
    },
    "mme": {
        "question_file": ("llava_mme.jsonl",),
        "data_dir": ("MME_Benchmark_release_version",),
    },
    "mmbench": {"table_file": ("mmbench_dev_en_20231003.tsv", "mmbench_dev_20230712.tsv")},
}
"""Setting of each file or folder -> its names, of which the first that is there is taken."""
_READ_BYTES = 1 << 20


def benchmark_in(
    kind: str, folder: str, root: Path, settings: Mapping[str, Any]
) -> dict[str, object]:
    """The settings of a benchmark whose files lie in one folder under their official names.

    Args:
        kind: Which benchmark.
        folder: Below the data root.
        root: The data root.
        settings: What was said beside the folder, which comes first.

    Raises:
        ValueError: If there is no such benchmark, or a file is not in the folder.
    """
    if kind not in OFFICIAL_NAMES:
        known = ", ".join(benchmark.model_fields["kind"].default for benchmark in BENCHMARKS)
        raise ValueError(f"a benchmark must be one of {known}, got {kind!r}; choose one")
    within = below(root, Path(folder), "a benchmark's folder")
    found: dict[str, object] = {}
    for field, names in OFFICIAL_NAMES[kind].items():
        if field in settings or not _is_wanted(field, settings):
            continue
        name = next((name for name in names if (within / name).exists()), None)
        if name is None:
            raise ValueError(
                f"{kind}: {field} must be {' or '.join(names)} in {within}, which is not there; "
                f"put it there, or give {field} by itself (docs/benchmarks.md)"
            )
        found[field] = str(Path(folder) / name)
    return {"kind": kind, **found, **settings}


def _is_wanted(field: str, settings: Mapping[str, Any]) -> bool:
    """TextVQA's prompts with OCR tokens are refused where the tokens are hidden."""
    return field != "question_file" or settings.get("ocr_tokens") != "hidden"


def located(benchmark: AnyBenchmark, root: Path) -> AnyBenchmark:
    """The benchmark with its paths as they are on this machine.

    Args:
        benchmark: Paths relative to the data root, or absolute ones below it.
        root: The data root.

    Raises:
        ValueError: If a path leads elsewhere.
    """
    paths = {
        name: below(root, value, f"{benchmark.kind}: {name}")
        for name, value in benchmark
        if isinstance(value, Path)
    }
    return benchmark.model_copy(update=paths)


def portable(benchmark: AnyBenchmark, root: Path) -> AnyBenchmark:
    """The same with its paths relative to the data root, which may lie elsewhere for a worker.

    Raises:
        ValueError: If a path leads out of the root.
    """
    here, trusted = located(benchmark, root), root.resolve()
    paths = {name: value.relative_to(trusted) for name, value in here if isinstance(value, Path)}
    return here.model_copy(update=paths)


def below(root: Path, path: Path, what: str) -> Path:
    """Where a path lies, relative to the data root or absolute below it.

    Raises:
        ValueError: If it leads elsewhere.
    """
    trusted = root.resolve()
    try:
        found = (trusted / path).resolve()
        is_below = found.is_relative_to(trusted)
    except (OSError, RuntimeError, ValueError):
        is_below = False
    if not is_below:
        raise ValueError(
            f"{what} must lie below the data root {root}, got {str(path)!r}; put it there "
            "(RANKSCOPE_DATA_ROOT says where)"
        )
    return found


def content_hash(items: Sequence[Item]) -> str:
    """SHA-256 of all that is asked and of the right answers, pictures included.

    Raises:
        OSError: If a picture cannot be read any more.
    """
    pictures: dict[Path | bytes, bytes] = {}
    digest = hashlib.sha256()
    for item in items:
        if item.image is not None and item.image not in pictures:
            pictures[item.image] = _digest_of(item.image)
        picture = b"" if item.image is None else pictures[item.image]
        words = (item.key, item.group, item.prompt, item.gold, item.options)
        digest.update(repr(words).encode() + picture)
    return digest.hexdigest()


def _digest_of(image: Path | bytes) -> bytes:
    if isinstance(image, bytes):
        return hashlib.sha256(image).digest()
    sha256 = hashlib.sha256()
    with image.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            sha256.update(chunk)
    return sha256.digest()
