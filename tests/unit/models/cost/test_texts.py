"""Lengths of rows, counted on texts alone."""

from pathlib import Path

import pytest

from rankscope.models.cost.texts import lengths_of
from rankscope.models.data import AnyDataset, EasyVqa, Scenes
from rankscope.models.roots import Roots
from rankscope.models.vlms import EmbeddedVlm
from rankscope.models.vlms.embedded.processing import load_embedded
from rankscope.models.vlms.linears import embedded_linears


@pytest.mark.parametrize("data", [Scenes(), Scenes(task="descriptions"), EasyVqa()], ids=repr)
def test_words_of_built_in_data_are_the_tokens_of_the_embedded_model(
    data: AnyDataset, tmp_path: Path
) -> None:
    sizes = embedded_linears().sizes
    assert sizes is not None
    roots = Roots(tmp_path, tmp_path, tmp_path)
    told = lengths_of(data, EmbeddedVlm(), sizes, rows=16, roots=roots)
    assert isinstance(data, Scenes | EasyVqa)
    _, processor = load_embedded()
    rows = [f"{question} {answer}" for question, answer in data.texts(256, tmp_path)]
    tokens = processor.tokenizer(rows, add_special_tokens=False).input_ids
    assert told.longest_tokens == 9 + max(map(len, tokens)) + 1
    assert told.visual_tokens == 9
    assert told.typical_tokens <= told.longest_tokens
    assert "its words are its tokens" in told.basis
