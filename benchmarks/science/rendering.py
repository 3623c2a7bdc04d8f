"""docs/results.md and its figures from the committed results; text by hand stays as it is.

A section lies between ``<!-- begin generated: PRESET -->`` and ``<!-- end generated: PRESET -->``,
and is empty where no ``benchmarks/results/science-PRESET.json`` is.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.science.presets import RESULTS
from benchmarks.science.protocol import Protocol, ProtocolError, read_protocol
from benchmarks.science.sections import figures_of, section_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
COMMAND = "python -m benchmarks.science render"
_FIGURES = "science-*.svg"

Answers = Mapping[str, Mapping[str, Any]]


def render(document: Path = DOCUMENT, results: Path = RESULTS) -> list[Path]:
    """Write what is not yet as the results say; returns the files written or taken away.

    Raises:
        ProtocolError: The document lacks the markers of a result.
    """
    changed = differing(document, results)
    for path, content in changed.items():
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return list(changed)


def differing(document: Path = DOCUMENT, results: Path = RESULTS) -> dict[Path, str | None]:
    """Files that are not as the results say, with what they should hold; None: nothing.

    Raises:
        ProtocolError: The document lacks the markers of a result.
    """
    protocol, _ = read_protocol()
    answers = _read(protocol, results)
    images = document.parent / "images"
    wanted: dict[Path, str | None] = dict.fromkeys(images.glob(_FIGURES))
    wanted[document] = filled(document.read_text(encoding="utf-8"), protocol, answers)
    for answer in answers.values():
        wanted |= {images / name: svg for name, svg in figures_of(answer).items()}
    return {
        path: content
        for path, content in wanted.items()
        if content is None or not path.exists() or path.read_text(encoding="utf-8") != content
    }


def filled(text: str, protocol: Protocol, answers: Answers) -> str:
    """The document with the sections between its markers made anew.

    Raises:
        ProtocolError: There are no markers for a result.
    """
    for preset in protocol.presets:
        section = section_of(protocol, answers[preset]) if preset in answers else ""
        text = _with_section(text, preset, section)
    return text


def _with_section(text: str, preset: str, section: str) -> str:
    begin, end = f"<!-- begin generated: {preset} -->", f"<!-- end generated: {preset} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if found and closed:
        return "\n".join([before + begin, *([section] if section else []), end + after])
    if not section:
        return text
    raise ProtocolError(
        f"the document must have markers for every result, {preset} lacks them; add {begin} and "
        f"{end} on lines of their own where it shall stand"
    )


def _read(protocol: Protocol, results: Path) -> Answers:
    answers = {}
    for preset in protocol.presets:
        path = results / f"science-{preset}.json"
        if path.exists():
            answers[preset] = json.loads(path.read_text(encoding="utf-8"))
    return answers
