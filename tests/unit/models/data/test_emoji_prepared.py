"""The emoji suites about prepared pictures: Fluent's emoji and CIFAR-10's photographs."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from rankscope.models.data import Emoji, emoji_cifar10
from rankscope.models.data.emoji_cifar10 import cifar10
from rankscope.models.data.emoji_fluent import fluent
from rankscope.models.data.emoji_packages import PicturePackage, take_files
from rankscope.models.data.emoji_pictures import PartName, PictureSet
from rankscope.models.data.emoji_suites import CHOICE, NAMING, PRESENCES, SUITES, TEXT, Easel
from rankscope.models.data.emoji_twemoji import THINGS, twemoji
from rankscope.models.roots import Roots
from tests.helpers.picture_packages import tiny_cifar10, tiny_fluent

Tiny = Callable[[Path], tuple[PicturePackage, Path]]
PARTS: tuple[PartName, ...] = ("train", "probe", "validation", "test")


def prepared(folder: Path, tiny: Tiny) -> Path:
    """A cache with a tiny package's pictures."""
    package, tarball = tiny(folder)
    target = package.folder(folder / "cache")
    target.parent.mkdir(parents=True)
    take_files(package, tarball, target)
    return folder / "cache"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepared(folder, tiny_fluent)
    package, tarball = tiny_cifar10(folder)
    take_files(package, tarball, package.folder(folder / "cache"))
    return folder / "cache"


def data(pictures: str) -> Emoji:
    sizes = {"train_items": 100, "probe_items": 50, "validation_items": 50, "test_items": 100}
    return Emoji.model_validate({"pictures": pictures, **sizes})


def test_fluent_shows_what_twemoji_shows_in_the_same_parts(cache: Path) -> None:
    """Three of Twemoji's are not among the tiny package's."""
    alike = {source.key: (source.thing, source.part) for source in twemoji().sources}
    found = {source.key: (source.thing, source.part) for source in fluent(cache).sources}
    assert len(found) == len(alike) - 3
    assert found.items() < alike.items()
    assert {source.part for source in fluent(cache).sources} == set(PARTS)


def test_photos_are_dealt_by_their_place_and_test_photos_are_published_ones(cache: Path) -> None:
    """Of 16 training photos of a thing turns give 2 to validation, 2 to probe, 12 to train."""
    sources = cifar10(cache).sources
    num_of = Counter((source.thing, source.part) for source in sources)
    wanted = {"train": 12, "probe": 2, "validation": 2, "test": 16}
    assert num_of == {
        (thing, part): number for thing in emoji_cifar10.THINGS for part, number in wanted.items()
    }
    for source in sources:
        image_HWC = source.picture()
        assert image_HWC.shape == (32, 32, 3)
        red, green, blue = image_HWC[0, 0].tolist()
        assert emoji_cifar10.THINGS[red // 20] == source.thing
        assert source.key == f"{'test_batch' if blue else 'data_batch_1'}-{green}"
        assert (source.part == "test") == (blue > 0)


def test_no_more_photos_of_a_thing_are_kept_than_some_hundreds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emoji_cifar10, "MOST_OF_A_THING", 8)
    sources = cifar10(prepared(tmp_path, tiny_cifar10)).sources
    assert set(Counter(source.thing for source in sources).values()) == {8 + 8}
    assert all(source.picture().base is None for source in sources)  # no sheet is kept


@pytest.mark.parametrize("read", [fluent, cifar10])
def test_no_prepared_picture_is_asked_about_in_two_parts(
    cache: Path, read: Callable[[Path], PictureSet]
) -> None:
    used = {}
    for part in PARTS:
        easel = Easel.of(read(cache).of_part(part), 40, 8, Random(3))
        items = [item for suite in SUITES for item in suite(easel)]
        used[part] = {source.key for item in items for source in item.drawing.sources}
    assert all(used.values())
    assert len(set().union(*used.values())) == sum(map(len, used.values()))


@pytest.mark.parametrize(
    ("pictures", "things"), [("fluent", THINGS), ("cifar10", emoji_cifar10.THINGS)]
)
def test_all_suites_ask_about_the_things_of_the_pictures(
    cache: Path, pictures: str, things: tuple[str, ...]
) -> None:
    splits = data(pictures).load(24, cache)
    test = splits.test
    assert [len(part) for part in (splits.train, splits.probe, splits.validation)] == [100, 50, 50]
    assert set(test.skills) == {NAMING, "counting", CHOICE, TEXT, *PRESENCES}
    named = [a for a, skill in zip(test.answers, test.skills, strict=True) if skill == NAMING]
    assert set(named) == set(things)
    asked = [
        question.removeprefix("Is there ").split("?")[0].split()[-1]
        for question, skill in zip(test.questions, test.skills, strict=True)
        if skill in PRESENCES
    ]
    assert set(asked) <= set(things)


def test_the_thing_is_in_the_middle_of_the_drawing_in_its_own_colour(cache: Path) -> None:
    """Red is 20 times the number of a thing in both tiny packages."""
    for pictures, things in (("fluent", THINGS), ("cifar10", emoji_cifar10.THINGS)):
        part = data(pictures).load(24, cache).test
        items = [item for item, skill in enumerate(part.skills) if skill == NAMING]
        for item, image_HWC in zip(items, part.images_of(items), strict=True):
            assert things.index(part.answers[item]) == round(int(image_HWC[12, 12, 0]) / 20)


def test_equal_settings_give_equal_data(cache: Path) -> None:
    first, again = (data("cifar10").load(24, cache).train for _ in range(2))
    assert first.questions == again.questions
    assert np.array_equal(first.images_NHWC, again.images_NHWC)


@pytest.mark.parametrize("pictures", ["fluent", "cifar10"])
def test_pictures_that_were_not_prepared_are_told_with_the_command(
    tmp_path: Path, pictures: str
) -> None:
    rule = (
        f"data set emoji with pictures={pictures} needs them in {tmp_path}/cache/emoji/{pictures}"
        rf"-.*, got no such folder; run `rankscope prepare {pictures}`"
    )
    roots = Roots(tmp_path, tmp_path, tmp_path / "cache")
    for read in (
        lambda: data(pictures).load(24, roots.cache),
        lambda: data(pictures).sample(24, 4, roots.cache),
    ):
        with pytest.raises(ValueError, match=rule):
            read()


def test_all_pictures_are_one_family_for_what_is_learned_from_runs() -> None:
    assert {data(pictures).family for pictures in ("twemoji", "fluent", "cifar10")} == {"emoji"}
