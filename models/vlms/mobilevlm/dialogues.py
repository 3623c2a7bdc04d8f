"""Dialogues as text: MobileVLM's two prompts, and what of them is to be learned.

The wording is Vicuna's, which MobileVLM takes over from LLaVA (Liu et al. 2023, arXiv 2310.03744);
the model was trained on it to the letter.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rankscope.models.data.dialogue import IMAGE_MARKER, Role, Turn

Template = Literal["v1", "plain"]
"""``v1`` asks and answers; ``plain`` is a picture and its caption, for training the projector."""

END = "</s>"
"""Llama's end token, as text."""

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
ASSISTANT = "ASSISTANT:"


class Piece(NamedTuple):
    """A stretch of text; ``is_scored`` if the model has to learn to say it."""

    text: str
    is_scored: bool = False


def training_pieces(template: Template, turns: Sequence[Turn]) -> list[Piece]:
    """A whole dialogue, answers scored with the end that follows them.

    A system turn at the start takes the place of MobileVLM's own.

    Raises:
        ValueError: If user and assistant do not take turns, the user first, the assistant last; or
            if a ``plain`` dialogue is more than a picture and its caption.
    """
    return _pieces(template, turns, last="assistant")


def prompt_pieces(template: Template, turns: Sequence[Turn]) -> list[Piece]:
    """A dialogue up to where the assistant is to go on; arguments as in ``training_pieces``.

    Raises:
        ValueError: As there, but for the user being last.
    """
    return _pieces(template, turns, last="user")


def _pieces(template: Template, turns: Sequence[Turn], *, last: Role) -> list[Piece]:
    if template == "plain":
        _check_plain(turns, last=last)
        return [
            Piece(IMAGE_MARKER),
            *(Piece(f"{turn.text}\n", is_scored=True) for turn in turns[1:]),
        ]
    system, spoken = SYSTEM, turns
    if turns and turns[0].role == "system":
        system, spoken = turns[0].text, turns[1:]
    _check_order(spoken, last=last)
    pieces = [Piece(f"{system} ")]
    for turn in spoken:
        if turn.role == "user":
            pieces.append(Piece(f"USER: {_image_first(turn.text)} {ASSISTANT}"))
        else:
            # The space is part of what generation must say after the colon.
            pieces.append(Piece(f" {turn.text}{END}", is_scored=True))
    return pieces


def _image_first(text: str) -> str:
    """Pictures before the words, each on a line of its own, as in all of MobileVLM's training."""
    if IMAGE_MARKER not in text:
        return text
    words = text.replace(IMAGE_MARKER, "").strip()
    return (f"{IMAGE_MARKER}\n" * text.count(IMAGE_MARKER) + words).strip()


def _check_order(turns: Sequence[Turn], *, last: Role) -> None:
    roles = [turn.role for turn in turns]
    expected = ["user", "assistant"] * len(roles)
    if not roles or roles != expected[: len(roles)] or roles[-1] != last:
        raise ValueError(
            f"user and assistant must take turns, the user first, the {last} last, got "
            f"{', '.join(roles) or 'no turn'}; join, drop or add turns"
        )


def _check_plain(turns: Sequence[Turn], *, last: Role) -> None:
    _check_order(turns, last=last)
    num_pictures = turns[0].text.count(IMAGE_MARKER)
    if len(turns) > 2 or num_pictures != 1:
        raise ValueError(
            f"a plain dialogue must be one {IMAGE_MARKER} and its caption, got {len(turns)} turns "
            f"with {num_pictures} {IMAGE_MARKER} in the first; use the template 'v1'"
        )
