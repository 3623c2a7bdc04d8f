"""Built-in transfer tasks: questions about drawn scenes, one shift away from pretraining each."""

from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.parts import Splits, VqaPart
from rankscope.models.data.scenes_drawing import Scene, draw
from rankscope.models.data.scenes_questions import (
    CELLS_PER_SIDE,
    Question,
    ask_one_of,
)
from rankscope.models.data.scenes_tasks import TASKS, Task


class Scenes(VqaDataset):
    """Shapes on a 3 x 3 grid; ``task`` names what differs from the embedded model's pretraining.

    ``answers``: the same questions, answered in other words. ``hues``: a dark ground and colors
    never seen. ``textures``: things filled with one of six textures, which most questions ask for.
    ``skills``: four kinds of question that pretraining does not ask. ``descriptions``: answers of
    two to five words, where pretraining gives one.
    """

    kind: Literal["scenes"] = "scenes"
    task: Literal["answers", "hues", "textures", "skills", "descriptions"] = Field(
        "answers",
        description="What differs from pretraining: answer words, colors, textures, questions, "
        "or answers of several words.",
    )
    train_items: int = Field(7680, ge=32, le=100_000, description="Questions to train on.")
    probe_items: int = Field(512, ge=32, le=10_000, description="Questions the scheduler may use.")
    validation_items: int = Field(1024, ge=32, le=20_000, description="Questions for validation.")
    test_items: int = Field(2048, ge=1000, le=50_000, description="Questions of the final test.")
    questions_per_scene: int = Field(2, ge=1, le=8, description="Questions about each picture.")
    seed: int = Field(0, ge=0, lt=2**32, description="Everything drawn follows from it.")

    @property
    @override
    def family(self) -> str:
        return TASKS[self.task].family

    @override
    def load(self, image_size_px: int, cache: Path | None = None) -> Splits[VqaPart]:
        task = TASKS[self.task]
        # One stream of random numbers for all parts: no part can draw the scenes of another.
        rng = Random(f"{self.task} {self.seed}")  # noqa: S311 - pictures, not secrets
        train, probe, validation, test = (
            self._part(task, num_items, image_size_px, rng)
            for num_items in (
                self.train_items,
                self.probe_items,
                self.validation_items,
                self.test_items,
            )
        )
        return Splits(train=train, probe=probe, validation=validation, test=test)

    @override
    def sample(self, image_size_px: int, num_items: int, cache: Path | None = None) -> VqaPart:
        """The first scenes and questions of train; only their drawn noise is another."""
        few = max(32, num_items * self.questions_per_scene)
        small = self.model_copy(update={"train_items": min(self.train_items, few)})
        rng = Random(f"{self.task} {self.seed}")  # noqa: S311 - pictures, not secrets
        part = small._part(TASKS[self.task], small.train_items, image_size_px, rng)
        _, first_items = np.unique(part.image_ids_I, return_index=True)
        return part.subset(np.sort(first_items)[:num_items])

    def _part(self, task: Task, num_items: int, image_size_px: int, rng: Random) -> VqaPart:
        scenes: list[Scene] = []
        image_ids: list[int] = []
        questions: list[Question] = []
        while len(questions) < num_items:
            scene = task.compose(rng)
            for _ in range(min(self.questions_per_scene, num_items - len(questions))):
                questions.append(ask_one_of(task.askers, scene, rng))
                image_ids.append(len(scenes))
            scenes.append(scene)
        return VqaPart(
            images_NHWC=draw(
                scenes, task.look, image_size_px, CELLS_PER_SIDE, seed=rng.getrandbits(32)
            ),
            image_ids_I=np.array(image_ids, dtype=np.int64),
            questions=tuple(question.text for question in questions),
            answers=tuple(task.reword(question.answer) for question in questions),
            skills=tuple(question.skill for question in questions),
        )
