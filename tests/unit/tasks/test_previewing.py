"""What a model would see of data: tokens, mask, lengths, broken rows."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from rankscope.models.data import FileData, Scenes
from rankscope.models.roots import Roots
from rankscope.models.vlms import EmbeddedVlm, HubVlm, MobileVlm
from rankscope.models.vlms.hub.loading import load_hub, load_hub_processor
from rankscope.models.vlms.loading import VlmProcessor
from rankscope.tasks.data_preview import Segment, ShownRow
from rankscope.tasks.previewing import Request, histogram_of, preview, segments_of
from tests.helpers.tiny_vlms import save_qwen2_vl, save_smolvlm
from tests.unit.tasks import tiny


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """One good row with a tool, one that lost its picture."""
    (tmp_path / "data").mkdir()
    Image.new("RGB", (196, 112), "red").save(tmp_path / "data" / "red.png")
    good = [
        {"from": "human", "value": "<image>\nwhat <b>color</b>"},
        {"from": "function_call", "value": "look()"},
        {"from": "observation", "value": "red"},
        {"from": "gpt", "value": "It is red."},
    ]
    rows = [
        {"conversations": good, "image": "red.png"},
        {"conversations": good, "image": "none.png"},
    ]
    (tmp_path / "data" / "own.json").write_text(json.dumps(rows))
    return Roots(tmp_path / "data", tmp_path / "models", tmp_path / "cache")


def scored(row: ShownRow) -> str:
    return "".join(one.text for one in row.segments if one.is_scored)


def masked(row: ShownRow) -> str:
    return "".join(one.text for one in row.segments if not one.is_scored)


def test_the_answers_alone_count_towards_the_loss(
    roots: Roots,
) -> None:
    folder = roots.models / "qwen"
    folder.mkdir(parents=True)
    save_qwen2_vl(folder)
    found = preview(Request(model=HubVlm(source="qwen"), data=FileData(path="own.json")), roots)
    (row,) = found.rows
    assert row.problem == ""
    assert "look()" in scored(row)
    assert "It is red." in scored(row)
    assert "what <b>color</b>" in masked(row)
    assert "red" in masked(row)
    assert "<|image_pad|>" in masked(row)
    assert row.num_tokens == sum(one.num_tokens for one in row.segments)
    assert row.num_scored == sum(one.num_tokens for one in row.segments if one.is_scored)
    assert row.pictures[0].startswith("data:image/png;base64,")
    assert [turn.role for turn in row.turns] == ["user", "assistant", "tool", "assistant"]
    report, lengths = found.report, found.lengths
    assert report is not None
    assert lengths is not None
    assert (report.num_good, report.num_broken) == (1, 1)
    assert report.first_broken[0].row == 2
    assert (lengths.num_rows, lengths.num_refused, lengths.limit_tokens) == (1, 0, 2048)
    assert lengths.histogram is not None
    assert sum(lengths.histogram.counts) == 1


def test_a_processor_without_weights_makes_the_very_tokens_of_the_loaded_model(
    roots: Roots,
) -> None:
    folder = roots.models / "smol"
    folder.mkdir(parents=True)
    save_smolvlm(folder)
    settings = HubVlm(source=str(folder), precision="fp32")
    _, loaded = load_hub(settings, torch.device("cpu"))
    (folder / "model.safetensors").unlink()
    alone = load_hub_processor(settings)
    assert alone.end_ids == loaded.end_ids
    assert alone.pad_id == loaded.pad_id
    examples = Scenes(train_items=32).sample(48, 2).examples([0, 1])
    expected, found = loaded.training_batch(examples), alone.training_batch(examples)
    assert expected.keys() == found.keys()
    assert all(bool((expected[name] == found[name]).all()) for name in expected)


def test_rows_that_the_model_cannot_take_say_why(roots: Roots) -> None:
    found = preview(Request(model=EmbeddedVlm(), data=FileData(path="own.json")), roots)
    (row,) = found.rows
    assert "turns of user and assistant alone" in row.problem
    assert row.segments == ()
    assert row.pictures
    assert found.lengths is not None
    assert found.lengths.num_refused == 1


def test_data_are_told_even_where_there_is_no_tokenizer(roots: Roots) -> None:
    found = preview(Request(model=MobileVlm(), data=FileData(path="own.json")), roots)
    assert "model.folder must name" in found.tokens_problem
    assert found.lengths is None
    assert found.rows[0].turns
    assert found.report is not None


def test_built_in_data_have_tokens_and_no_report(roots: Roots) -> None:
    found = preview(Request(model=EmbeddedVlm(), data=Scenes(train_items=64)), roots)
    assert found.report is None
    assert len(found.rows) == 6
    assert all(scored(row).endswith("</s>") for row in found.rows)


def test_segments_change_where_the_mask_does_and_at_repetitions() -> None:
    """Five 7s, then 8 masked, 9 and five 9s scored: the lone 9 belongs to the run behind it."""
    processor: VlmProcessor = tiny.processor()
    ids = [7] * 5 + [8] + [9] * 6 + [8]
    labels = [-100] * 6 + ids[6:]
    found = list(segments_of(ids, labels, processor.tokenizer))
    told = [(one.num_tokens, one.is_scored, one.is_repeated) for one in found]
    assert told == [(5, False, True), (1, False, False), (6, True, True), (1, True, False)]
    assert all(isinstance(one, Segment) and one.text for one in found)


@pytest.mark.parametrize("numbers", [[5], [1, 1, 1], list(range(100)), [3, 3000], [1, 24, 25]])
def test_ahistogram_of_counts_every_row_once(numbers: list[int]) -> None:
    found = histogram_of(numbers)
    assert found is not None
    assert sum(found.counts) == len(numbers)
    assert found.edges[0] == min(numbers)
    assert found.edges[-2] <= max(numbers) < found.edges[-1]
