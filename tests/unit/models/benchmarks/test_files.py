"""Files are found by their official names and below the data root alone."""

from pathlib import Path

import pytest
from PIL import Image
from pydantic import TypeAdapter

from rankscope.models.benchmarks import BENCHMARKS, AnyBenchmark, Mme, Pope
from rankscope.models.benchmarks.contract import Benchmark
from rankscope.models.benchmarks.files import (
    OFFICIAL_NAMES,
    benchmark_in,
    content_hash,
    located,
    portable,
)
from tests.unit.models.benchmarks.official_files import WRITERS, pope, text_vqa

ANY: TypeAdapter[AnyBenchmark] = TypeAdapter(AnyBenchmark)


@pytest.mark.parametrize("kind", BENCHMARKS)
def test_a_folder_with_official_names_is_enough(kind: type[Benchmark], tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    written = WRITERS[kind](folder)
    settings = benchmark_in(written.kind, "suite", tmp_path, {})
    found = portable(ANY.validate_python(settings), tmp_path)
    paths = [value for _, value in found if isinstance(value, Path)]
    assert len(paths) == len(OFFICIAL_NAMES[written.kind])
    assert not any(path.is_absolute() for path in paths)
    assert located(found, tmp_path).items() == written.items()


def test_names_follow_the_settings_of_every_benchmark() -> None:
    for kind in BENCHMARKS:
        names = OFFICIAL_NAMES[kind.model_fields["kind"].default]
        assert names.keys() <= kind.model_fields.keys()


def test_a_single_file_may_lie_elsewhere(tmp_path: Path) -> None:
    pope(tmp_path / "a")
    (tmp_path / "a" / "val2014").rename(tmp_path / "coco_val")
    found = benchmark_in("pope", "a", tmp_path, {"image_dir": "coco_val"})
    assert found["image_dir"] == "coco_val"
    assert len(located(ANY.validate_python(found), tmp_path).items()) == 8


def test_prompts_with_ocr_tokens_are_not_looked_for_where_they_are_hidden(tmp_path: Path) -> None:
    text_vqa(tmp_path, shown=False)
    (tmp_path / "llava_textvqa_val_v051_ocr.jsonl").unlink()
    found = benchmark_in("text_vqa", ".", tmp_path, {"ocr_tokens": "hidden"})
    assert located(ANY.validate_python(found), tmp_path).items()
    with pytest.raises(ValueError, match="question_file must be llava_textvqa_val_v051_ocr"):
        benchmark_in("text_vqa", ".", tmp_path, {})


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path) -> None:
    pope(tmp_path)
    (tmp_path / "llava_pope_test.jsonl").unlink()
    with pytest.raises(ValueError, match=r"question_file must be llava_pope_test.jsonl in .*not"):
        benchmark_in("pope", ".", tmp_path, {})
    with pytest.raises(ValueError, match="must be one of gqa, science_qa"):
        benchmark_in("vqav2", ".", tmp_path, {})


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "link"])
def test_paths_that_leave_the_data_root_are_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    benchmark = Mme(question_file=Path("llava_mme.jsonl"), data_dir=Path(path))
    with pytest.raises(ValueError, match="mme: data_dir must lie below the data root"):
        located(benchmark, root)
    with pytest.raises(ValueError, match="a benchmark's folder must lie below the data root"):
        benchmark_in("mme", path, root, {})


def test_the_content_hash_tells_of_pictures_too(tmp_path: Path) -> None:
    benchmark: Pope = pope(tmp_path)
    before = content_hash(benchmark.items())
    assert content_hash(benchmark.items()) == before
    Image.new("RGB", (4, 3), (0, 0, 0)).save(tmp_path / "val2014" / "COCO_1.jpg")
    assert content_hash(benchmark.items()) != before
