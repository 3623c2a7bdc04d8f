"""The textures task: things filled with textures, and questions that ask how they are filled.

No word of the embedded model means a texture, so "how is" asks for it: how is north - half.
"""

from random import Random

from rankscope.models.data.scenes_drawing import COLORS, Scene, Thing
from rankscope.models.data.scenes_questions import (
    CELLS_PER_SIDE,
    LARGE_RADII,
    MAX_THINGS,
    NUMBERS,
    PLACES,
    Asker,
    Question,
    ask_color,
    ask_position,
    ask_shape,
    ask_whether,
    color_of,
    full_name_of,
    pick_unique,
    shape_of,
)
from rankscope.models.data.scenes_textures import TEXTURES

# The bars of a cross and the band of a ring are too thin to show a texture in a 16-pixel cell.
SOLID_SHAPES = ("circle", "square", "triangle", "diamond")


def sample_textured_scene(rng: Random) -> Scene:
    """Two to six large solid things in different cells, of a few colors, shapes and textures."""
    colors = rng.sample(COLORS, rng.randint(2, 4))
    shapes = rng.sample(SOLID_SHAPES, rng.randint(2, 4))
    textures = rng.sample(TEXTURES, rng.randint(2, 4))
    cells = rng.sample(range(CELLS_PER_SIDE**2), rng.randint(2, MAX_THINGS))
    return tuple(
        Thing(
            color=rng.choice(colors),
            shape=rng.choice(shapes),
            cell=cell,
            radius=rng.uniform(*LARGE_RADII),
            texture=rng.choice(textures),
        )
        for cell in cells
    )


def ask_texture(scene: Scene, rng: Random) -> Question:
    """Texture of the thing in a cell."""
    thing = rng.choice(scene)
    return Question(f"how is {PLACES[thing.cell]}", thing.texture, "texture")


def ask_texture_of_named(scene: Scene, rng: Random) -> Question | None:
    """Texture of the one thing with a given color, shape, or color and shape."""
    name = rng.choice((color_of, shape_of, full_name_of))
    thing = pick_unique(scene, rng, name)
    if thing is None:
        return None
    return Question(f"how is the {name(thing)}", thing.texture, "texture of named")


def ask_texture_count(scene: Scene, rng: Random) -> Question:
    """How many things have a texture, mostly one that is there."""
    texture = rng.choice(TEXTURES) if rng.random() < 0.1 else rng.choice(scene).texture
    count = sum(thing.texture == texture for thing in scene)
    return Question(f"how many are {texture}", NUMBERS[count], "texture counting")


def ask_texture_existence(scene: Scene, rng: Random) -> Question:
    """Whether a texture, or a shape with a texture, is there.

    A "no" about a shape with a texture mostly names two that both are there, apart.
    """
    if rng.random() < 0.4:
        question = ask_whether(TEXTURES, sorted({thing.texture for thing in scene}), rng)
    else:
        present = sorted({f"{thing.texture} {thing.shape}" for thing in scene})
        mixed = sorted({f"{one.texture} {other.shape}" for one in scene for other in scene})
        everything = [f"{texture} {shape}" for texture in TEXTURES for shape in SOLID_SHAPES]
        is_mixed = len(mixed) > len(present) and rng.random() < 0.6
        question = ask_whether(mixed if is_mixed else everything, present, rng)
    return Question(question.text, question.answer, "texture existence")


TEXTURE_ASKERS: tuple[Asker, ...] = (
    *(ask_texture, ask_texture_of_named, ask_texture_count, ask_texture_existence),
    *(ask_texture, ask_texture_of_named),
    ask_texture,
    # Less than a third: what pretraining asks must still be answered about textured things.
    *(ask_color, ask_shape, ask_position),
)
