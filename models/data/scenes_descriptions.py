"""The descriptions task: answers of two to five words in a fixed order.

Several things are named as one reads: row by row from the top, each row from the left.
"""

from collections.abc import Sequence
from random import Random

from rankscope.models.data.scenes_drawing import Scene, Thing
from rankscope.models.data.scenes_questions import (
    CELLS_PER_SIDE,
    LARGE_RADII,
    PLACES,
    PLURALS,
    Asker,
    Question,
    color_of,
    full_name_of,
    pick_unique,
    shape_of,
)

MAX_ANSWER_WORDS = 5
ROWS = ("topmost row", "middle row", "bottommost row")
COLUMNS = ("leftmost column", "middle column", "rightmost column")
# Steps across and down to the next cell that way.
DIRECTIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}


def ask_description(scene: Scene, rng: Random) -> Question:
    """Size, color and shape of the thing in a cell."""
    thing = rng.choice(scene)
    return Question(f"what is {PLACES[thing.cell]}", _description_of(thing), "description")


def ask_neighbor(scene: Scene, rng: Random) -> Question | None:
    """Size, color and shape of what is next on one side of a thing that its name singles out.

    Next is the nearest thing of the same row or column, empty cells passed over.
    """
    name = rng.choice((color_of, shape_of, full_name_of))
    thing = pick_unique(scene, rng, name)
    if thing is None:
        return None
    neighbors = {side: _next(scene, thing, *step) for side, step in DIRECTIONS.items()}
    found = [(side, neighbor) for side, neighbor in neighbors.items() if neighbor]
    if not found:
        return None
    side, neighbor = rng.choice(found)
    return Question(f"what is {side} the {name(thing)}", _description_of(neighbor), "neighbor")


def ask_line(scene: Scene, rng: Random) -> Question | None:
    """Colors and shapes of the one or two things of a row or column."""
    things_by_line: dict[str, list[Thing]] = {}
    for thing in _as_read(scene):
        row, column = divmod(thing.cell, CELLS_PER_SIDE)
        for line in (ROWS[row], COLUMNS[column]):
            things_by_line.setdefault(line, []).append(thing)
    # Three things would take eight words.
    short = [line for line, things in things_by_line.items() if len(things) <= 2]
    if not short:
        return None
    line = rng.choice(short)
    answer = " and ".join(map(full_name_of, things_by_line[line]))
    return Question(f"what is in the {line}", answer, "line")


def ask_colors_of_shape(scene: Scene, rng: Random) -> Question | None:
    """The color of each of several things of one shape."""
    shape = rng.choice(scene).shape
    colors = [thing.color for thing in _as_read(scene) if thing.shape == shape]
    return _listing(f"what colors are the {PLURALS[shape]}", colors, "colors of shape")


def ask_shapes_of_color(scene: Scene, rng: Random) -> Question | None:
    """The shape of each of several things of one color."""
    color = rng.choice(scene).color
    shapes = [thing.shape for thing in _as_read(scene) if thing.color == color]
    return _listing(f"what shapes are {color}", shapes, "shapes of color")


def ask_places(scene: Scene, rng: Random) -> Question | None:
    """The cell of each of several things of one shape."""
    shape = rng.choice(scene).shape
    places = [PLACES[thing.cell] for thing in _as_read(scene) if thing.shape == shape]
    return _listing(f"where are the {PLURALS[shape]}", places, "places")


DESCRIBING_ASKERS: tuple[Asker, ...] = (
    ask_description,
    ask_neighbor,
    ask_line,
    ask_colors_of_shape,
    ask_shapes_of_color,
    ask_places,
)


def _listing(text: str, words: Sequence[str], skill: str) -> Question | None:
    """A question answered by several words, or None if they are one or too many."""
    if not 2 <= len(words) <= MAX_ANSWER_WORDS:
        return None
    return Question(text, " ".join(words), skill)


def _as_read(scene: Scene) -> list[Thing]:
    return sorted(scene, key=lambda thing: thing.cell)


def _description_of(thing: Thing) -> str:
    size = "large" if thing.radius >= LARGE_RADII[0] else "small"
    return f"{size} {full_name_of(thing)}"


def _next(scene: Scene, thing: Thing, across: int, down: int) -> Thing | None:
    """The nearest other thing that way in the same row or column."""
    thing_by_cell = {other.cell: other for other in scene}
    row, column = divmod(thing.cell, CELLS_PER_SIDE)
    while True:
        row, column = row + down, column + across
        if not (0 <= row < CELLS_PER_SIDE and 0 <= column < CELLS_PER_SIDE):
            return None
        if found := thing_by_cell.get(row * CELLS_PER_SIDE + column):
            return found
