"""Items of the emoji suites; their formats are those of published benchmarks, their content is not.

``presence`` asks as POPE does (Li et al. 2023, arXiv 2305.10355): half of the answers are yes, and
the absent things are drawn at random, from the most frequent ones, or from those that are most
often together with what is there. ``choice`` names options by letters as MMBench does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.emoji_pictures import PictureSet, Source
from rankscope.models.data.emoji_scenes import (
    NUM_CELLS,
    WORDS,
    Scene,
    draw_scene,
    draw_word,
    sample_scene,
)

NUMBERS = ("one", "two", "three", "four")
LETTERS = ("A", "B", "C", "D")

NAMING = "naming"
COUNTING = "counting"
CHOICE = "choice, MMBench-format"
TEXT = "rendered text"
PRESENCES = tuple(f"presence, POPE-format, {kind}" for kind in ("random", "popular", "adversarial"))


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture that items may ask about, with the published pictures in it."""

    image_HWC: UInt8Array
    sources: tuple[Source, ...] = ()

    @property
    def things(self) -> frozenset[str]:
        """What can be seen."""
        return frozenset(source.thing for source in self.sources)


@dataclass(frozen=True)
class Item:
    """A question about a drawing."""

    drawing: Drawing
    question: str
    answer: str
    skill: str


@dataclass(frozen=True)
class Easel:
    """What the items of a part are made with; suites about the same kind of picture share them.

    Args:
        things: What may be asked about.
        singles: Of one thing each, every thing as often.
        scenes: Of one to four things each, every number as often.
        words: Of one word each with that word, every word as often.
        rng: What suites draw from.
    """

    things: tuple[str, ...]
    singles: tuple[Drawing, ...]
    scenes: tuple[Drawing, ...]
    words: tuple[tuple[Drawing, str], ...]
    rng: Random

    @classmethod
    def of(cls, pictures: PictureSet, num_of_each: int, image_size_px: int, rng: Random) -> "Easel":
        """Drawings with every published picture of a part; none comes again before all have."""
        pictures = pictures.shuffled(rng)

        def drawn(scene: Scene) -> Drawing:
            image_HWC = draw_scene(scene, image_size_px, rng)
            return Drawing(image_HWC, tuple(scene.things.values()))

        singles = []
        for number in range(num_of_each):
            turn, place = divmod(number, len(pictures.things))
            alike = pictures.by_thing[pictures.things[place]]
            singles.append(drawn(Scene({0: alike[turn % len(alike)]}, is_single=True)))
        scenes = [sample_scene(pictures, 1 + n % NUM_CELLS, rng) for n in range(num_of_each)]
        words = [WORDS[number % len(WORDS)] for number in range(num_of_each)]
        return cls(
            pictures.things,
            tuple(singles),
            tuple(drawn(scene) for scene in scenes),
            tuple((Drawing(draw_word(word, image_size_px, rng)), word) for word in words),
            rng,
        )


def naming(easel: Easel) -> list[Item]:
    """What the one thing in the picture is."""
    question = "What is this? Answer with one word."
    return [
        Item(drawing, question, thing, NAMING)
        for drawing in easel.singles
        for thing in drawing.things
    ]


def counting(easel: Easel) -> list[Item]:
    """How many things a scene holds."""
    question = "How many things are there? Answer with one word."
    return [
        Item(drawing, question, NUMBERS[len(drawing.sources) - 1], COUNTING)
        for drawing in easel.scenes
    ]


def choice(easel: Easel) -> list[Item]:
    """Which of four options the one thing is."""
    items = []
    for number, drawing in enumerate(easel.singles):
        (name,) = drawing.things
        options = easel.rng.sample(
            [thing for thing in easel.things if thing != name], len(LETTERS) - 1
        )
        place = number % len(LETTERS)
        options.insert(place, name)
        listed = " ".join(f"{a}. {b}" for a, b in zip(LETTERS, options, strict=True))
        question = f"Which letter is it? {listed}"
        items.append(Item(drawing, question, LETTERS[place], CHOICE))
    return items


def rendered_text(easel: Easel) -> list[Item]:
    """Which word is written; parts share the words, not the drawings."""
    question = "Which word is this? Answer with one word."
    return [Item(drawing, question, word, TEXT) for drawing, word in easel.words]


def presence(easel: Easel) -> list[Item]:
    """Whether a thing is in a scene; every kind of absent thing and both answers as often."""
    seen = [drawing.things for drawing in easel.scenes]
    frequency = Counter(thing for things in seen for thing in things)
    together = Counter(pair for things in seen for pair in permutations(sorted(things), 2))
    # Shuffled: in turn, kind and answer would tell how many things a scene holds.
    asked_for = [divmod(number, 2) for number in range(len(seen))]
    easel.rng.shuffle(asked_for)
    items = []
    for drawing, (turn, is_absent) in zip(easel.scenes, asked_for, strict=True):
        there = sorted(drawing.things)
        absent = [thing for thing in easel.things if thing not in there]
        beside = {thing: sum(together[thing, other] for other in there) for thing in absent}
        ranked = (absent, _most(absent, frequency), _most(absent, beside))
        kind = turn % len(PRESENCES)
        asked = easel.rng.choice(ranked[kind] if is_absent else there)
        question = f"Is there {_indefinite(asked)}? Answer yes or no."
        items.append(Item(drawing, question, "no" if is_absent else "yes", PRESENCES[kind]))
    return items


def _indefinite(thing: str) -> str:
    if thing in ("clothing", "food"):
        return thing
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"


def _most(absent: Sequence[str], count: Mapping[str, int]) -> list[str]:
    """The three with the largest count; ties go to the earlier."""
    return sorted(absent, key=lambda thing: count[thing], reverse=True)[:3]


SUITES = (naming, presence, counting, choice, rendered_text)
