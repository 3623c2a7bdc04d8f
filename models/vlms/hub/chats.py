"""Dialogues as the text that a model's chat template writes, and what of it is to be learned.

What the assistant says is found by writing a dialogue turn by turn: what the template writes for
the first turns must be the beginning of what it writes for all. So any template will do, and what
is scored begins exactly where ``generate`` goes on. Where a template breaks that property, its
``{% generation %}`` marks are taken, and where it has none it is refused.
"""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple, cast

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from rankscope.models.data.dialogue import IMAGE_MARKER, Turn, Unfit
from rankscope.models.vlms.hub.picture_processor import PictureProcessor

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE = (Turn("user", f"{IMAGE_MARKER}tell"), Turn("assistant", "told"))
_SHOWN_CHARS = 40

Message = dict[str, Any]


class Span(NamedTuple):
    """Characters from ``start`` up to ``stop``."""

    start: int
    stop: int


class Written(NamedTuple):
    """A text with one image token per picture, and the answers in it with their ends."""

    text: str
    scored: tuple[Span, ...]


class ChatTemplate:
    """A model's own chat template.

    An answer ends with the token that the template writes after it. Where the template writes none,
    as LLaVA's do not, the tokenizer's takes the place of what the template writes there: a model
    that is never shown an end does not stop.

    Args:
        processor: Holds the template and tells the image token.

    Raises:
        ValueError: If there is no template, or it does not place pictures or tell answers apart.
    """

    def __init__(self, processor: PictureProcessor) -> None:
        tokenizer = processor.tokenizer
        if tokenizer.eos_token is None:
            raise ValueError(
                "a tokenizer must have a token that ends a text (eos_token), got none; set it in "
                "tokenizer_config.json"
            )
        added = tokenizer.added_tokens_decoder.values()
        self._template = _template_of(processor)
        self._names: dict[str, Any] = dict(tokenizer.special_tokens_map)
        self._image_token: str = processor.image_token
        self._end_of_text: str = tokenizer.eos_token
        self._special = _any_of(
            {token.content for token in added if token.special}
            | {self._image_token, self._end_of_text}
        )
        self.end_token = self._end_token()

    def written(self, turns: Sequence[Turn], *, answered: bool) -> Written:
        """A dialogue with its last answer, or up to where the model is to give it.

        Args:
            turns: As an example has them, the assistant last.
            answered: Whether the last answer is part of the text.

        Raises:
            Unfit: If the template has no place for a turn, or a text holds the model's own tokens.
        """
        shown = turns if answered else turns[:-1]
        for turn in shown:
            self._check_text(turn)
        messages = [_message(turn) for turn in shown]
        whole, marks = self._rendered(messages, prompts=not answered)
        self._check_whole(whole, shown, messages)
        answers = [number for number, turn in enumerate(shown) if turn.role == "assistant"]
        text, scored, copied = "", [], 0
        for order, number in enumerate(answers):
            mark = marks[order] if order < len(marks) else None
            start = self._start(whole, messages[:number], mark)
            stop = self._stop(whole, messages[: number + 1], mark)
            words_end = _end_of_words(whole, Span(start, stop), shown[number])
            end = self._special.search(whole, words_end, stop)
            begins = len(text) + start - copied
            text += (
                whole[copied : end.end()] if end else whole[copied:words_end] + self._end_of_text
            )
            scored.append(Span(begins, len(text)))
            copied = end.end() if end else stop
        return Written(text + whole[copied:], tuple(scored))

    def _start(self, whole: str, before: list[Message], mark: Span | None) -> int:
        """Where an answer begins: after its prompt, else where the template marks it."""
        prompt, _ = self._rendered(before, prompts=True)
        if whole.startswith(prompt):
            return len(prompt)
        if mark is not None:
            return mark.start
        raise Unfit(
            "a chat template must write an answer right after its prompt",
            _parting(prompt, whole),
            "use a model whose template does",
        )

    def _stop(self, whole: str, through: list[Message], mark: Span | None) -> int:
        """Where the template is done with an answer's turn."""
        upto, _ = self._rendered(through, prompts=False)
        if whole.startswith(upto):
            return len(upto)
        if mark is not None:
            return mark.stop
        raise Unfit(
            "a chat template must write a turn the same whatever follows it",
            _parting(upto, whole),
            "split the dialogue, or use a model whose template does",
        )

    def _rendered(self, messages: list[Message], *, prompts: bool) -> tuple[str, list[Span]]:
        """What the template writes, and what it marks as said by the assistant."""
        try:
            texts, marks = cast(
                "tuple[list[str], list[list[tuple[int, int]]]]",
                render_jinja_template(
                    conversations=[messages],
                    chat_template=self._template,
                    add_generation_prompt=prompts,
                    return_assistant_tokens_mask=bool(_GENERATION.search(self._template)),
                    **self._names,
                ),
            )
        except (TemplateError, TypeError, KeyError, IndexError) as error:
            raise Unfit(
                "a dialogue's turns must be such as the model's chat template knows",
                f"{', '.join(message['role'] for message in messages)} ({error})",
                "leave such dialogues out or use another model",
            ) from error
        return texts[0], [Span(*mark) for mark in (marks[0] if marks else [])]

    def _check_text(self, turn: Turn) -> None:
        found = self._special.search(turn.text.replace(IMAGE_MARKER, ""))
        if found:
            raise Unfit(
                "a text must not hold the tokens that the model's chat template is made of",
                f"{found.group()!r} in a turn of the {turn.role}",
                "write it otherwise or take the row out",
            )

    def _check_whole(self, whole: str, turns: Sequence[Turn], messages: list[Message]) -> None:
        """No turn may have been dropped or altered, no picture left out."""
        position = 0
        for message in messages:
            for part in message["content"]:
                text = part.get("text", "")
                found = whole.find(text, position)
                if found < 0:
                    raise Unfit(
                        "a model's chat template must write every turn as it is",
                        f"no {text[:_SHOWN_CHARS]!r} of the {message['role']}",
                        "leave such dialogues out or use another model",
                    )
                position = found + len(text)
        num_pictures = sum(turn.text.count(IMAGE_MARKER) for turn in turns)
        num_places = whole.count(self._image_token)
        if num_places != num_pictures:
            raise Unfit(
                "a model's chat template must place every picture",
                f"{num_places} places for {num_pictures} pictures",
                "leave such dialogues out or use another model",
            )

    def _end_token(self) -> str:
        """What ends an answer, seen in a dialogue of two words."""
        try:
            text, scored = self.written(_PROBE, answered=True)
        except Unfit as error:
            raise ValueError(
                f"the chat template must take a question about a picture and its answer, got: "
                f"{error}; use another version of the model"
            ) from error
        ends = [found.group() for found in self._special.finditer(text, *scored[0])]
        return ends[-1]


def _template_of(processor: PictureProcessor) -> str:
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    if not isinstance(template, str):
        raise ValueError(  # noqa: TRY004 - bad input, not a bad call
            "a model must come with a chat template (chat_template.jinja), got "
            f"{'none' if template is None else type(template).__name__}; use an instruction-tuned "
            "version of it"
        )
    return template


def _message(turn: Turn) -> Message:
    """A turn as templates take it: pictures and texts in their order.

    Line breaks about a picture and blanks about the whole are the data's way of writing; what
    belongs there is the template's to say.
    """
    texts = [text.strip("\n") for text in turn.text.strip().split(IMAGE_MARKER)]
    num_before = len(list(takewhile(lambda text: not text.strip(), texts)))
    num_after = len(list(takewhile(lambda text: not text.strip(), reversed(texts))))
    parts: list[dict[str, str]] = []
    for number, text in enumerate(texts):
        if number:
            parts.append({"type": "image"})
        words = text.lstrip() if number <= num_before else text
        words = words.rstrip() if number >= len(texts) - 1 - num_after else words
        if words:
            parts.append({"type": "text", "text": words})
    # Many templates look at the first part without asking whether there is one.
    return {"role": turn.role, "content": parts or [{"type": "text", "text": ""}]}


def _end_of_words(whole: str, said: Span, turn: Turn) -> int:
    words = turn.text.strip()
    found = whole.find(words, *said)
    if found < 0:
        raise Unfit(
            "a model's chat template must write every turn as it is",
            f"{whole[said.start : said.stop][:_SHOWN_CHARS]!r} for {words[:_SHOWN_CHARS]!r}",
            "leave such dialogues out or use another model",
        )
    return found + len(words)


def _any_of(tokens: set[str]) -> re.Pattern[str]:
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _parting(one: str, whole: str) -> str:
    """Where two texts part, as each goes on."""
    pairs = zip(one, whole, strict=False)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(whole)))
    first = max(0, same - _SHOWN_CHARS // 2)
    last = same + _SHOWN_CHARS // 2
    return f"{one[first:last]!r} and {whole[first:last]!r}"
