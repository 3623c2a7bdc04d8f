"""The built-in tasks stay what they were: past results compare with new ones only then."""

from hashlib import sha256

import pytest

from rankscope.models.data import Scenes
from rankscope.models.data.scenes_tasks import TASKS

# Pictures at 48 pixels, whose items they belong to, questions, answers and skills of all parts.
GOLDEN = {
    "answers": "8f11910228fe3a1f",
    "hues": "a01498c8bc2d9c63",
    "textures": "642d5c0b7d854b29",
    "skills": "20c5a215fdb355cf",
    "descriptions": "5b4ab7cec4232313",
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_gives_the_data_it_always_gave(task: str) -> None:
    sizes = {"train_items": 64, "probe_items": 32, "validation_items": 32, "test_items": 1000}
    splits = Scenes.model_validate({"kind": "scenes", "task": task, **sizes}).load(48)
    digest = sha256()
    for part in (splits.train, splits.probe, splits.validation, splits.test):
        digest.update(part.images_NHWC.tobytes())
        digest.update(repr(part.image_ids_I.tolist()).encode())
        digest.update(repr((part.questions, part.answers, part.skills)).encode())
    assert digest.hexdigest()[:16] == GOLDEN[task]
