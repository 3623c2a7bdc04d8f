"""What holds for every benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rankscope.models.benchmarks import BENCHMARKS, AnyBenchmark, Gqa, MmBench
from rankscope.models.benchmarks.contract import Benchmark, BenchmarkScore
from rankscope.models.benchmarks.protocol import answer_in
from tests.unit.models.benchmarks.official_files import WRITERS

every_benchmark = pytest.mark.parametrize("kind", BENCHMARKS, ids=lambda kind: kind.__name__)
every_benchmark_with_picture_files = pytest.mark.parametrize(
    "kind", [kind for kind in BENCHMARKS if kind is not MmBench], ids=lambda kind: kind.__name__
)
Kind = type[Benchmark]
ADAPTER: TypeAdapter[AnyBenchmark] = TypeAdapter(AnyBenchmark)


def right_answers(benchmark: Benchmark) -> dict[str, str]:
    return {item.key: item.gold[0] for item in benchmark.items()}


def given_paths(benchmark: Benchmark) -> dict[str, Path]:
    return {name: value for name, value in benchmark if isinstance(value, Path)}


def test_this_file_writes_every_benchmark() -> None:
    assert set(WRITERS) == set(BENCHMARKS)


def test_reading_and_scoring_need_no_torch() -> None:
    script = (
        "import sys, rankscope.models.benchmarks\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'pandas', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], check=False).returncode == 0


@every_benchmark
def test_an_item_has_a_key_of_its_own_a_prompt_and_a_right_answer(
    kind: Kind, tmp_path: Path
) -> None:
    items = WRITERS[kind](tmp_path).items()
    assert len({item.key for item in items}) == len(items) > 1
    for item in items:
        assert item.prompt.splitlines()[-1].startswith("Answer ")
        assert "<image>" not in item.prompt
        assert all(isinstance(answer, str) for answer in item.gold)


@every_benchmark
def test_a_configuration_survives_json_and_finds_its_own_kind(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    again = ADAPTER.validate_json(ADAPTER.dump_json(benchmark))  # type: ignore[arg-type]
    assert type(again) is kind
    assert again == benchmark


@every_benchmark
def test_a_field_says_what_it_is_for(kind: Kind) -> None:
    fields = {name: field for name, field in kind.model_fields.items() if name != "kind"}
    assert all(field.description for field in fields.values())
    assert kind.model_config["title"]


@every_benchmark
def test_right_answers_to_everything_score_best(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    score = benchmark.score(right_answers(benchmark))
    assert score.value == pytest.approx(expected_best(benchmark))
    assert score.num_items == len(score.item_scores) == len(benchmark.items())
    assert len(score.group_scores) == len({item.group for item in benchmark.items()})


def expected_best(benchmark: Benchmark) -> float:
    """A part of this POPE has no yes, and so no F1."""
    return 2 / 3 if benchmark.kind == "pope" else benchmark.best


@every_benchmark
def test_a_score_survives_json(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    score = benchmark.score(right_answers(benchmark))
    assert BenchmarkScore.model_validate_json(score.model_dump_json()) == score


@every_benchmark
def test_empty_answers_are_scored_without_dividing_by_zero_and_noted(
    kind: Kind, tmp_path: Path
) -> None:
    benchmark = WRITERS[kind](tmp_path)
    score = benchmark.score(dict.fromkeys(right_answers(benchmark), ""))
    assert 0 <= score.value < score.best
    assert any(note == f"{score.num_items} answers are empty" for note in score.notes)


@every_benchmark
def test_a_missing_answer_is_refused(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    answers = right_answers(benchmark)
    first, second, *_ = answers
    kept = {key: answer for key, answer in answers.items() if key not in {first, second}}
    with pytest.raises(ValueError, match="every item must have an answer, 2 of ") as refused:
        benchmark.score(kept)
    assert f"first {first}, {second}; generate those too" in str(refused.value)


@every_benchmark
def test_an_answer_to_nothing_and_an_unofficial_number_of_items_are_noted(
    kind: Kind, tmp_path: Path
) -> None:
    benchmark = WRITERS[kind](tmp_path)
    notes = benchmark.score({**right_answers(benchmark), "stranger": "yes"}).notes
    assert "1 predictions belong to no item and were left out" in notes
    assert f"instead of the official {kind.official_groups:,}" in notes[0]


@every_benchmark
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_missing_file_is_named(kind: Kind, tmp_path: Path, is_folder: bool) -> None:
    benchmark = WRITERS[kind](tmp_path)
    for name, path in given_paths(benchmark).items():
        if path.is_dir() == is_folder:
            moved = benchmark.model_copy(update={name: tmp_path / "absent"})
            with pytest.raises(ValueError, match=r"absent.*; .+"):
                moved.items()


@every_benchmark
def test_a_file_that_is_cut_off_is_named(kind: Kind, tmp_path: Path) -> None:
    """Cut 30 bytes before the end: in the midst of the last row."""
    benchmark = WRITERS[kind](tmp_path)
    for path in given_paths(benchmark).values():
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes(content[:-30])
            with pytest.raises(ValueError, match=path.name):
                benchmark.items()
            path.write_bytes(content)


@every_benchmark
def test_a_file_that_is_no_utf8_is_named(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    for path in given_paths(benchmark).values():
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes(content.replace(b"a", b"\xff", 1))
            with pytest.raises(ValueError, match=rf"{path.name}.*UTF-8"):
                benchmark.items()
            path.write_bytes(content)


@every_benchmark_with_picture_files
def test_a_missing_picture_is_named_with_its_row(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    lost = next(image for item in benchmark.items() if isinstance(image := item.image, Path))
    lost.unlink()
    with pytest.raises(
        ValueError, match=rf"(line|row|data) \d+: a file .* must exist, .*{lost.name}'"
    ):
        benchmark.items()


@every_benchmark_with_picture_files
def test_a_picture_that_is_a_link_is_refused(kind: Kind, tmp_path: Path) -> None:
    benchmark = WRITERS[kind](tmp_path)
    linked = next(image for item in benchmark.items() if isinstance(image := item.image, Path))
    outside = linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(outside)
    with pytest.raises(ValueError, match="must not go over symbolic links"):
        benchmark.items()


def test_equal_items_have_equal_digests_and_other_right_answers_others(tmp_path: Path) -> None:
    benchmark = WRITERS[Gqa](tmp_path)
    assert isinstance(benchmark, Gqa)
    answers = right_answers(benchmark)
    score = benchmark.score(answers)
    assert benchmark.score(dict.fromkeys(answers, "")).items_digest == score.items_digest
    text = benchmark.annotation_file.read_text("utf-8")
    benchmark.annotation_file.write_text(text.replace('"red"', '"blue"'), "utf-8")
    assert benchmark.score(answers).items_digest != score.items_digest


def test_an_answer_ends_before_its_end_mark() -> None:
    assert answer_in(" Yes </s> ") == "Yes"
