"""What the embedded model is pretrained on: fresh scenes for every batch, one question each."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.easy_vqa import EasyVqa
from rankscope.models.data.scenes import Scenes
from rankscope.models.data.scenes_drawing import PAPER, Scene, draw
from rankscope.models.data.scenes_questions import (
    CELLS_PER_SIDE,
    PRETRAINING_ASKERS,
    Asker,
    Question,
    ask_lone,
    ask_one_of,
    sample_lone_scene,
    sample_scene,
)
from rankscope.models.data.scenes_tasks import TASKS

# In the vocabulary though no built-in task uses them: a new task then needs no new pretraining.
SPARE_WORDS = """
above all an and any as below big both bottommost brown colors column corner count cyan
different each edge eight even every few first half has have large largest last least leftmost
less lone lower many more most next nine north not odd only or other pink rightmost row same
second seven shapes size sizes small smallest south than third to topmost under upper which
white with zone
"""


@dataclass(frozen=True)
class Batch:
    """Drawn scenes and equally many questions about each of them."""

    scenes: list[Scene]
    dialogues: list[list[Question]]
    images_NHWC: UInt8Array

    @property
    def turns(self) -> list[list[tuple[str, str]]]:
        """Questions with their answers, scene by scene."""
        return [[(turn.text, turn.answer) for turn in dialogue] for dialogue in self.dialogues]


def sample_batch(
    rng: Random,
    num_scenes: int,
    num_turns: int,
    lone_fraction: float,
    image_size_px: int,
    askers: Sequence[Asker] = PRETRAINING_ASKERS,
) -> Batch:
    """Fresh scenes on the grid, followed by lone things, with ``num_turns`` questions each."""
    num_lone = round(num_scenes * lone_fraction)
    scenes = [sample_scene(rng) for _ in range(num_scenes - num_lone)]
    lone = [sample_lone_scene(rng) for _ in range(num_lone)]
    images = [
        draw(scenes, PAPER, image_size_px, CELLS_PER_SIDE, seed=rng.getrandbits(32)),
        draw(lone, PAPER, image_size_px, cells_per_side=1, seed=rng.getrandbits(32)),
    ]
    return Batch(
        scenes=scenes + lone,
        dialogues=[
            *([ask_one_of(askers, scene, rng) for _ in range(num_turns)] for scene in scenes),
            *([ask_lone(scene, rng) for _ in range(num_turns)] for scene in lone),
        ],
        images_NHWC=np.concatenate(images),
    )


def known_words() -> set[str]:
    """Every word of easy-VQA, of the built-in tasks and of pretraining."""
    texts: set[str] = set(SPARE_WORDS.split())
    datasets: list[EasyVqa | Scenes] = [EasyVqa(), *(Scenes(task=task) for task in TASKS)]
    for dataset in datasets:
        splits = dataset.load(48)
        for part in (splits.train, splits.probe, splits.validation, splits.test):
            texts.update(part.questions, part.answers)
    batch = sample_batch(Random(0), 2000, 4, lone_fraction=0.2, image_size_px=48)  # noqa: S311
    texts.update(text for dialogue in batch.turns for turn in dialogue for text in turn)
    return {word.strip("?") for text in texts for word in text.lower().split()}
