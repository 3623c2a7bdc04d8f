"""What a transfer task changes against pretraining: its questions, its look or its answers."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from rankscope.models.data.scenes_descriptions import DESCRIBING_ASKERS
from rankscope.models.data.scenes_drawing import PAPER, Look, Scene
from rankscope.models.data.scenes_questions import (
    PLACES,
    PRETRAINING_ASKERS,
    Asker,
    Question,
    pick_unique,
    sample_scene,
    yes_or_no,
)
from rankscope.models.data.scenes_texture_questions import TEXTURE_ASKERS, sample_textured_scene


@dataclass(frozen=True)
class Task:
    """One shift away from pretraining.

    Args:
        family: Tasks whose shifts are of one kind; see ``VqaDataset.family``.
        compose: Who puts scenes together.
        askers: Who words the questions, equally often where the scene allows it.
        look: How scenes are rendered.
        answer_words: Words of an answer that are replaced; all others stay.
    """

    family: str
    compose: Callable[[Random], Scene] = sample_scene
    askers: tuple[Asker, ...] = PRETRAINING_ASKERS
    look: Look = PAPER
    answer_words: Mapping[str, str] = field(default_factory=dict)

    def reword(self, answer: str) -> str:
        """An answer in this task's vocabulary."""
        return " ".join(self.answer_words.get(word, word) for word in answer.split())


# Dark ground and shifted hues: every color stays a color of its own, none looks as in pretraining.
NIGHT = Look(
    palette={
        "red": (255, 120, 150),
        "green": (120, 250, 120),
        "blue": (90, 200, 255),
        "yellow": (250, 245, 170),
        "purple": (200, 120, 255),
        "orange": (190, 120, 60),
        "black": (90, 95, 110),
        "gray": (180, 180, 180),
    },
    ground=(10, 40),
)

OTHER_WORDS = {
    "red": "crimson",
    "green": "emerald",
    "blue": "azure",
    "yellow": "golden",
    "purple": "violet",
    "orange": "amber",
    "black": "ebony",
    "gray": "silver",
    "circle": "disc",
    "square": "block",
    "triangle": "wedge",
    "diamond": "rhomb",
    "cross": "plus",
    "ring": "hoop",
    "yes": "true",
    "no": "false",
    "zero": "none",
    "one": "single",
    "two": "pair",
    "three": "trio",
    "four": "quartet",
    "five": "quintet",
    "six": "sextet",
    "northwest": "upleft",
    "north": "up",
    "northeast": "upright",
    "west": "left",
    "center": "middle",
    "east": "right",
    "southwest": "downleft",
    "south": "down",
    "southeast": "downright",
}


def ask_color_of_shape(scene: Scene, rng: Random) -> Question | None:
    """Color of the one thing of a shape."""
    thing = pick_unique(scene, rng, lambda t: t.shape)
    if thing is None:
        return None
    return Question(f"what color is the {thing.shape}", thing.color, "color of shape")


def ask_shape_of_color(scene: Scene, rng: Random) -> Question | None:
    """Shape of the one thing of a color."""
    thing = pick_unique(scene, rng, lambda t: t.color)
    if thing is None:
        return None
    return Question(f"what shape is {thing.color}", thing.shape, "shape of color")


def ask_majority(scene: Scene, rng: Random) -> Question | None:  # noqa: ARG001 - an asker
    """The color that more things have than any other."""
    (color, most), *others = Counter(thing.color for thing in scene).most_common(2)
    if others and others[0][1] == most:
        return None
    return Question("what color is most", color, "majority")


def ask_confirmation(scene: Scene, rng: Random) -> Question:
    """Whether the thing in a cell has a color that some thing of the scene has."""
    thing = rng.choice(scene)
    color = thing.color if rng.random() < 0.5 else rng.choice(scene).color
    answer = yes_or_no(color == thing.color)
    return Question(f"is {PLACES[thing.cell]} {color}", answer, "confirmation")


TASKS: Mapping[str, Task] = {
    "answers": Task("words", answer_words=OTHER_WORDS),
    "hues": Task("look", look=NIGHT),
    "textures": Task("look", compose=sample_textured_scene, askers=TEXTURE_ASKERS),
    "skills": Task(
        "questions",
        askers=(
            ask_color_of_shape,
            ask_shape_of_color,
            ask_majority,
            ask_confirmation,
        ),
    ),
    "descriptions": Task("descriptions", askers=DESCRIBING_ASKERS),
}
