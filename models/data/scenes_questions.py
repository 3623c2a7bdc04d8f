"""Scenes and the questions the embedded model is pretrained on: each skill one small function.

An asker looks at a scene and words one question about it, or returns None where it allows none.
Questions end with the word that matters: a small model learns about three times as fast when
nothing stands between that word and the answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from rankscope.models.data.scenes_drawing import COLORS, SHAPES, Scene, Thing

CELLS_PER_SIDE = 3
# One word per cell, row by row: after 800 trial steps of pretraining the color in a cell was named
# with accuracy 1.00, against 0.58 where cells had two words ("top left").
PLACES = (
    *("northwest", "north", "northeast"),
    *("west", "center", "east"),
    *("southwest", "south", "southeast"),
)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
PLURALS = {shape: f"{shape}s" for shape in SHAPES} | {"cross": "crosses"}
MAX_THINGS = 6

# Radii as fractions of a cell's side; the gap lets people tell small from large.
SMALL_RADII = (0.32, 0.36)
LARGE_RADII = (0.42, 0.46)
# A lone thing sits anywhere in the whole picture and has any size.
LONE_RADII = (0.13, 0.42)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a scene with its one right answer and the skill it tests."""

    text: str
    answer: str
    skill: str


Asker = Callable[[Scene, Random], Question | None]


def sample_scene(rng: Random) -> Scene:
    """Two to six things in different cells of a 3 x 3 grid.

    Colors and shapes come from a few of each, so that counts above one are common.
    """
    colors = rng.sample(COLORS, rng.randint(2, 4))
    shapes = rng.sample(SHAPES, rng.randint(2, 4))
    cells = rng.sample(range(CELLS_PER_SIDE**2), rng.randint(2, MAX_THINGS))
    return tuple(
        Thing(
            color=rng.choice(colors),
            shape=rng.choice(shapes),
            cell=cell,
            radius=rng.uniform(*rng.choice((SMALL_RADII, LARGE_RADII))),
        )
        for cell in cells
    )


def sample_lone_scene(rng: Random) -> Scene:
    """One thing of any size, to be drawn on a grid of one cell."""
    return (Thing(rng.choice(COLORS), rng.choice(SHAPES), 0, rng.uniform(*LONE_RADII)),)


def ask_color(scene: Scene, rng: Random) -> Question:
    """Color of the thing in a cell."""
    thing = rng.choice(scene)
    return Question(f"what color is {PLACES[thing.cell]}", thing.color, "color")


def ask_shape(scene: Scene, rng: Random) -> Question:
    """Shape of the thing in a cell."""
    thing = rng.choice(scene)
    return Question(f"what shape is {PLACES[thing.cell]}", thing.shape, "shape")


def ask_position(scene: Scene, rng: Random) -> Question | None:
    """Cell of the one thing with a given color, shape, or color and shape."""
    name = rng.choice((color_of, shape_of, full_name_of))
    thing = pick_unique(scene, rng, name)
    if thing is None:
        return None
    return Question(f"where is the {name(thing)}", PLACES[thing.cell], "position")


def ask_count(scene: Scene, rng: Random) -> Question:
    """How many things have a color, a shape, or are there at all."""
    kind = rng.random()
    if kind < 0.15:
        return Question("how many things", NUMBERS[len(scene)], "counting")
    # Mostly something that is there: the answer zero would otherwise be the safe guess.
    absent = rng.random() < 0.1
    if kind < 0.6:
        color = rng.choice(COLORS) if absent else rng.choice(scene).color
        count = sum(thing.color == color for thing in scene)
        return Question(f"how many are {color}", NUMBERS[count], "counting")
    shape = rng.choice(SHAPES) if absent else rng.choice(scene).shape
    count = sum(thing.shape == shape for thing in scene)
    return Question(f"how many {PLURALS[shape]}", NUMBERS[count], "counting")


def ask_existence(scene: Scene, rng: Random) -> Question:
    """Whether a color, a shape or a colored shape is there.

    A "no" about a colored shape mostly names a color and a shape that both are there, apart.
    """
    kind = rng.random()
    if kind < 0.25:
        return ask_whether(COLORS, sorted({thing.color for thing in scene}), rng)
    if kind < 0.5:
        return ask_whether(SHAPES, sorted({thing.shape for thing in scene}), rng)
    present = sorted({full_name_of(thing) for thing in scene})
    mixed = sorted({f"{one.color} {other.shape}" for one in scene for other in scene})
    if len(mixed) > len(present) and rng.random() < 0.6:
        return ask_whether(mixed, present, rng)
    return ask_whether([f"{color} {shape}" for color in COLORS for shape in SHAPES], present, rng)


def ask_lone(scene: Scene, rng: Random) -> Question:
    """Color or shape of a lone thing, named or confirmed."""
    (thing,) = scene
    match rng.randrange(4):
        case 0:
            return Question("what color is it", thing.color, "color")
        case 1:
            return Question("what shape is it", thing.shape, "shape")
        case 2:
            asked = thing.color if rng.random() < 0.5 else rng.choice(COLORS)
            return Question(f"is it {asked}", yes_or_no(asked == thing.color), "existence")
        case _:
            asked = thing.shape if rng.random() < 0.5 else rng.choice(SHAPES)
            return Question(f"is it a {asked}", yes_or_no(asked == thing.shape), "existence")


PRETRAINING_ASKERS: tuple[Asker, ...] = (
    ask_color,
    ask_shape,
    ask_position,
    ask_count,
    ask_existence,
)


def ask_one_of(askers: Sequence[Asker], scene: Scene, rng: Random) -> Question:
    """A question by a random asker out of those that can ask about the scene."""
    while True:
        question = rng.choice(askers)(scene, rng)
        if question is not None:
            return question


def pick_unique(scene: Scene, rng: Random, key: Callable[[Thing], str]) -> Thing | None:
    """A thing that shares its key with no other, or None if there is none."""
    keys = [key(thing) for thing in scene]
    unique = [thing for thing, own in zip(scene, keys, strict=True) if keys.count(own) == 1]
    return rng.choice(unique) if unique else None


def yes_or_no(statement: bool) -> str:
    """The answer word of a statement's truth."""
    return "yes" if statement else "no"


def ask_whether(candidates: Sequence[str], present: Sequence[str], rng: Random) -> Question:
    """Whether something is there; half the questions name a candidate that is not."""
    if rng.random() < 0.5:
        return Question(f"is there a {rng.choice(present)}", "yes", "existence")
    absent = [candidate for candidate in candidates if candidate not in present]
    return Question(f"is there a {rng.choice(absent)}", "no", "existence")


def color_of(thing: Thing) -> str:
    """The color alone."""
    return thing.color


def shape_of(thing: Thing) -> str:
    """The shape alone."""
    return thing.shape


def full_name_of(thing: Thing) -> str:
    """Color and shape."""
    return f"{thing.color} {thing.shape}"
