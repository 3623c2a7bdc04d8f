"""The published easy-VQA data set."""

from collections import Counter
from itertools import combinations

import pytest

from rankscope.models.data import EasyVqa
from rankscope.models.data.parts import Splits, VqaPart
from rankscope.models.data.scenes_tasks import TASKS


@pytest.fixture(scope="module")
def splits() -> Splits[VqaPart]:
    return EasyVqa().load(48)


def test_the_published_test_part_is_kept_whole(splits: Splits[VqaPart]) -> None:
    assert (len(splits.test), len(splits.test.images_NHWC)) == (9_673, 1_000)
    assert splits.test.images_NHWC.shape == (1_000, 48, 48, 3)


def test_train_probe_and_validation_share_the_published_train_part(splits: Splits[VqaPart]) -> None:
    parts = (splits.train, splits.probe, splits.validation)
    assert sum(len(part) for part in parts) == 38_575
    assert (len(splits.probe), len(splits.validation)) == (509, 999)
    used = [set(part.image_ids_I.tolist()) for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(used, 2))
    assert len(set.union(*used)) == 4_000


def test_knowing_only_the_question_gives_the_known_67_percent(splits: Splits[VqaPart]) -> None:
    usual = splits.question_only_answers(splits.test.questions)
    num_right = sum(a == b for a, b in zip(usual, splits.test.answers, strict=True))
    assert round(num_right / len(usual), 4) == 0.67


def test_every_item_has_a_skill(splits: Splits[VqaPart]) -> None:
    assert set(Counter(splits.test.skills)) == {"color", "shape", "presence"}


def test_another_seed_keeps_other_pictures_apart(splits: Splits[VqaPart]) -> None:
    other = EasyVqa(seed=1).load(1)
    assert set(other.probe.image_ids_I.tolist()) != set(splits.probe.image_ids_I.tolist())
    assert other.test.questions == splits.test.questions


def test_easy_vqa_is_a_family_of_its_own() -> None:
    assert EasyVqa().family == "easy-vqa"
    assert EasyVqa().family not in {task.family for task in TASKS.values()}
