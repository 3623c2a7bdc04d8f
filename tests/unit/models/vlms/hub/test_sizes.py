"""What a plan learns of a model from its small files: words, heads, tokens of one picture."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.models.vlms.hub.configs import read_config
from rankscope.models.vlms.hub.families import family_of
from rankscope.models.vlms.hub.meta import hub_linears
from rankscope.models.vlms.hub.processors import build_processor
from tests.helpers.tiny_vlms import TINY_FAMILIES
from tests.unit.models.vlms.hub.conftest import Tiny, asked, picture, settings_of


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_picture_has_the_tokens_that_training_gives_it(
    family: str, tiny: Callable[[str], Tiny], tiny_folder: Callable[[str], Path]
) -> None:
    loaded, folder = tiny(family), tiny_folder(family)
    sizes = hub_linears(loaded.settings).sizes
    assert sizes is not None
    assert sizes.picture is not None
    config = read_config(folder, allow_remote_code=False)
    visual = set(build_processor(folder, config, family_of(config)).image_token_ids)
    batch = loaded.processor.training_batch(
        [asked("<image>\nwhat is it", "red", picture(640, 480))]
    )
    ids = batch["input_ids"][0].tolist()
    assert sizes.picture.tokens == sum(token in visual for token in ids)
    assert sizes.picture.patches > 0
    text = loaded.model.config.get_text_config()
    assert (sizes.vocabulary, sizes.num_heads) == (text.vocab_size, text.num_attention_heads)
    assert sizes.context_tokens == loaded.settings.max_length


def test_a_model_without_a_processor_can_still_be_planned(tmp_path: Path) -> None:
    TINY_FAMILIES["llava"](tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    sizes = hub_linears(settings_of(tmp_path)).sizes
    assert sizes is not None
    assert sizes.picture is None
