"""What the formats have in common: reading turns, pictures and keys out of a row."""

import json
from collections.abc import Mapping, Sequence

from rankscope.models.data.dialogue import Role, Turn, Unfit
from rankscope.models.data.files.contract import Record
from rankscope.models.data.files.settings import Columns

MAX_SKILL = 60
"""Characters of a skill's name; accuracies are reported by it."""
_MEDIA = ("video", "videos", "audio", "audios")


def key_of(record: Record, columns: Columns) -> str:
    """The row's own name, "" if it has none."""
    key = record.get(columns.key)
    if key is None:
        return ""
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise Unfit(
            f"column {columns.key} must hold text or whole numbers",
            told(key),
            "change it, or name another column under columns.key",
        )
    return str(key)


def skill_of(record: Record, columns: Columns) -> str:
    """What the row tests, "" if it does not say."""
    skill = record.get(columns.skill)
    if skill is None or skill == "":
        return ""
    if isinstance(skill, bool) or not isinstance(skill, str | int) or len(str(skill)) > MAX_SKILL:
        raise Unfit(
            f"column {columns.skill} must hold text of at most {MAX_SKILL} characters or whole "
            "numbers",
            told(skill),
            "change it, or name another column under columns.skill",
        )
    return str(skill)


def pictures_in(record: Record, columns: Columns) -> tuple[object, ...]:
    """The row's pictures as it has them; one alone needs no list around it."""
    for medium in _MEDIA:
        if record.get(medium):
            raise Unfit(
                "a row may hold pictures only", f"column {medium}", "take the row or column out"
            )
    names = ("image", "images") if columns.image == "image" else (columns.image,)
    for name in names:
        cell = record.get(name)
        if cell is None or cell in ("", []):
            continue
        return tuple(cell) if isinstance(cell, list) else (cell,)
    return ()


def turns_in(
    record: Record, names: Sequence[str], *, who: str, what: str, roles: Mapping[str, Role]
) -> list[tuple[Role, object, Mapping[str, object]]]:
    """Role, content and the whole mapping of each turn in the first of the columns that is there.

    Args:
        record: The row.
        names: Columns that may hold the turns.
        who: Key of the speaker.
        what: Key of the content.
        roles: What speakers are called.
    """
    cell = next((record[name] for name in names if record.get(name) is not None), None)
    if not isinstance(cell, list):
        raise Unfit(
            f"a row must have a list of turns in {' or '.join(names)}",
            told(cell),
            "add it, or name the format",
        )
    turns: list[tuple[Role, object, Mapping[str, object]]] = []
    for turn in cell:
        if not isinstance(turn, dict):
            raise Unfit(
                f'a turn must be an object with "{who}" and "{what}"', told(turn), "write it so"
            )
        speaker = turn.get(who)
        if not isinstance(speaker, str) or speaker not in roles:
            raise Unfit(
                f'"{who}" must be one of {", ".join(roles)}',
                told(speaker),
                "rename the speaker, or name another format",
            )
        turns.append((roles[speaker], turn.get(what), turn))
    return turns


def text_of(content: object) -> str:
    """The content of a turn, which must be text."""
    if not isinstance(content, str):
        raise Unfit("a turn's content must be text", told(content), "write it as text")
    return content


def spoken(role: Role, content: object) -> Turn:
    """A turn whose content must be text."""
    return Turn(role, text_of(content))


def is_blank_system(role: Role, content: object) -> bool:
    """An empty system turn says nothing, and many sets carry one in every row."""
    return role == "system" and (
        content is None or (isinstance(content, str) and not content.strip())
    )


def with_prompt(record: Record, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns behind what columns ``system`` and ``tools`` say; a system turn beats ``system``.

    Tools are text, or a list of which each is written as a line of JSON.
    """
    system, tools = record.get("system") or "", record.get("tools") or ""
    if isinstance(tools, list):
        tools = "\n".join(json.dumps(tool, ensure_ascii=False, default=str) for tool in tools)
    for name, text in (("system", system), ("tools", tools)):
        if not isinstance(text, str):
            raise Unfit(f"column {name} must hold text", told(text), "write it as text")
    if turns and turns[0].role == "system":
        system, turns = turns[0].text, turns[1:]
    says_tools = str(tools).strip() not in ("", "[]")  # as text, none are often written so
    prompt = "\n\n".join(filter(None, (str(system), f"Tools:\n{tools}" if says_tools else "")))
    return (Turn("system", prompt), *turns) if prompt.strip() else tuple(turns)


def told(value: object) -> str:
    """A value for a message: text in quotes, anything long by its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, str | int | float):
        return repr(value)
    return f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else repr(value)
