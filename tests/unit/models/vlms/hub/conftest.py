"""Tiny checkpoints, one folder per family, and a few dialogues about pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel

from rankscope.models.data.dialogue import Example, Picture, Turn
from rankscope.models.vlms.hub.loading import load_hub
from rankscope.models.vlms.hub.processing import HubProcessor
from rankscope.models.vlms.hub.settings import HubVlm
from tests.helpers.tiny_vlms import TINY_FAMILIES, UNLISTED_FAMILIES

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Tiny:
    """A checkpoint and what it loads to; do not change the model."""

    settings: HubVlm
    model: PreTrainedModel
    processor: HubProcessor


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More would wait for each other at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's checkpoint, written once."""
    root = tmp_path_factory.mktemp("tiny")

    def folder_of(family: str) -> Path:
        folder = root / family
        if not folder.exists():
            (TINY_FAMILIES | UNLISTED_FAMILIES)[family](folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def tiny(tiny_folder: Callable[[str], Path]) -> Callable[[str], Tiny]:
    """A family's checkpoint, loaded once."""
    loaded: dict[str, Tiny] = {}

    def load(family: str) -> Tiny:
        if family not in loaded:
            settings = settings_of(tiny_folder(family))
            loaded[family] = Tiny(settings, *load_hub(settings, CPU))
        return loaded[family]

    return load


def settings_of(folder: Path, **changes: object) -> HubVlm:
    """Full precision, room for 512 tokens."""
    told = {"source": str(folder), "precision": "fp32", "max_length": 512, **changes}
    return HubVlm.model_validate(told)


def picture(width: int = 40, height: int = 30, color: str = "red") -> Picture:
    """A plain picture."""
    encoded = BytesIO()
    Image.new("RGB", (width, height), color).save(encoded, "PNG")
    return Picture("plain.png", encoded.getvalue())


def asked(question: str, answer: str, *pictures: Picture, row: int = 1) -> Example:
    """One question and its answer."""
    turns = (Turn("user", question), Turn("assistant", answer))
    return Example(str(row), row, pictures, turns)


ONE = asked("<image>\nWhat color is it?", "The bus is red.", picture())
SMALL = asked("<image>\nHow many dogs?", "Two", picture(30, 60, "blue"), row=2)
"""With ``ONE``, what every family takes: a question about a picture each, of different lengths."""
LONG = Example(
    "3",
    3,
    (picture(30, 60, "blue"), picture(64, 64, "green")),
    (
        Turn("system", "Be brief."),
        Turn("user", "Compare <image> with <image>"),
        Turn("assistant", "No."),
        Turn("user", "Where is the cat?"),
        Turn("assistant", "On the left."),
    ),
)
"""Two pictures, two answers."""
WORDS_ONLY = asked("Where is the cat?", "yes", row=4)


def examples_for(family: str) -> list[Example]:
    """What a family takes: PaliGemma no more than a question about a picture."""
    return [ONE, SMALL] if family == "paligemma" else [ONE, LONG, WORDS_ONLY]
