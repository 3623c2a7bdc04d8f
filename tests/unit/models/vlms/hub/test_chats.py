"""Templates of all sorts, on the tokens of Qwen: what is written and what of it is scored."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from transformers import AutoConfig

from rankscope.models.data.dialogue import Turn, Unfit
from rankscope.models.vlms.hub.chats import ChatTemplate, Written
from rankscope.models.vlms.hub.families import family_of
from rankscope.models.vlms.hub.processors import build_processor
from tests.helpers.chat_templates import LLAVA_NEXT_TEMPLATE, QWEN_TEMPLATE

HEAD = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
PARTS = (
    "{% for p in m['content'] %}{{ '<|image_pad|>' if p['type'] == 'image' else p['text'] }}"
    "{% endfor %}"
)
FOOT = "<|im_end|>\n{% endfor %}"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
PLAIN = HEAD + PARTS + FOOT + PROMPT

ASKED: tuple[Turn, ...] = (
    Turn("user", "<image>\nWhat?"),
    Turn("assistant", "A cat."),
    Turn("user", "Where?"),
    Turn("assistant", "There."),
)


@pytest.fixture(scope="module")
def template(tiny_folder: Callable[[str], Path]) -> Callable[[str | None], ChatTemplate]:
    """A template on Qwen's processor."""
    folder = tiny_folder("qwen2_vl")
    config = AutoConfig.from_pretrained(folder)

    def make(text: str | None) -> ChatTemplate:
        processor = build_processor(folder, config, family_of(config))
        processor.chat_template = text
        return ChatTemplate(processor)

    return make


def scored(written: Written) -> list[str]:
    return [written.text[span.start : span.stop] for span in written.scored]


def test_answers_are_scored_with_their_ends_and_nothing_else(
    template: Callable[[str], ChatTemplate],
) -> None:
    written = template(PLAIN).written(ASKED, answered=True)
    assert written.text == (
        "<|im_start|>user\n<|image_pad|>What?<|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
        "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nThere.<|im_end|>\n"
    )
    assert scored(written) == ["A cat.<|im_end|>", "There.<|im_end|>"]


def test_a_prompt_is_the_text_up_to_the_last_answer(
    template: Callable[[str], ChatTemplate],
) -> None:
    plain = template(PLAIN)
    whole, prompt = (plain.written(ASKED, answered=answered) for answered in (True, False))
    assert prompt.text == whole.text[: whole.scored[-1].start]
    assert scored(prompt) == ["A cat.<|im_end|>"]


def test_a_missing_end_is_put_in_for_what_the_template_writes_there(
    template: Callable[[str], ChatTemplate],
) -> None:
    """Without an end a model would never learn to stop."""
    endless = (
        "{% for m in messages %}{{ m['role'] | upper }}: " + PARTS + " ## {% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )
    written = template(endless).written(ASKED, answered=True)
    assert written.text == (
        "USER: <|image_pad|>What? ## ASSISTANT: A cat.<|im_end|>USER: Where? ## ASSISTANT: There."
        "<|im_end|>"
    )
    assert scored(written) == [" A cat.<|im_end|>", " There.<|im_end|>"]


def test_marks_tell_where_an_answer_begins_if_the_prompt_does_not(
    template: Callable[[str], ChatTemplate],
) -> None:
    marked = (
        HEAD
        + "{% if m['role'] == 'assistant' %}{% generation %}"
        + PARTS
        + "<|im_end|>{% endgeneration %}\n{% else %}"
        + PARTS
        + "<|im_end|>\n{% endif %}{% endfor %}"
        + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>{% endif %}"
    )
    assert scored(template(marked).written(ASKED, answered=True)) == [
        "A cat.<|im_end|>",
        "There.<|im_end|>",
    ]


def test_without_marks_a_prompt_that_is_not_in_the_dialogue_is_refused(
    template: Callable[[str], ChatTemplate],
) -> None:
    thinking = PLAIN.replace("assistant\n{% endif %}", "assistant\n<think>{% endif %}")
    with pytest.raises(ValueError, match=r"an answer right after its prompt, got .*<think>"):
        template(thinking)


def test_turns_that_change_with_what_follows_are_refused(
    template: Callable[[str], ChatTemplate],
) -> None:
    counting = PLAIN.replace("<|im_end|>", "{{ messages | length }}<|im_end|>")
    with pytest.raises(ValueError, match="must write a"):
        template(counting)


@pytest.mark.parametrize(
    "text", ["", "    two   spaces  inside ", "1", "<tool_call>{}</tool_call>", "ÄÖ 猫 🐈"]
)
def test_answers_of_any_words_are_found(template: Callable[[str], ChatTemplate], text: str) -> None:
    turns = (Turn("user", "Say it 1"), Turn("assistant", text or "1"))
    expected = (text or "1").strip() + "<|im_end|>"
    assert scored(template(PLAIN).written(turns, answered=True)) == [expected]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<image>\nWhat?", "<|image_pad|>What?"),
        ("<image> What?", "<|image_pad|>What?"),
        ("What?\n<image>", "What?<|image_pad|>"),
        ("<image>\n<image>\nWhat?\n", "<|image_pad|><|image_pad|>What?"),
        ("Is <image> like\n<image>\n?", "Is <|image_pad|> like<|image_pad|>?"),
    ],
)
def test_breaks_about_pictures_are_left_to_the_template(
    template: Callable[[str], ChatTemplate], text: str, written: str
) -> None:
    turns = (Turn("user", text), Turn("assistant", "Yes"))
    assert f"user\n{written}<|im_end|>" in template(PLAIN).written(turns, answered=True).text


def test_a_tools_answer_is_written_where_the_template_has_a_place_for_it(
    template: Callable[[str], ChatTemplate],
) -> None:
    turns: Sequence[Turn] = (
        Turn("system", "Be brief."),
        Turn("user", "<image>How warm?"),
        Turn("assistant", "<call>weather</call>"),
        Turn("tool", '{"temperature": 21}'),
        Turn("tool", ""),
        Turn("assistant", "21 degrees"),
    )
    written = template(QWEN_TEMPLATE).written(turns, answered=True)
    assert '<|im_start|>tool\n{"temperature": 21}<|im_end|>\n<|im_start|>tool\n<|im_end|>' in (
        written.text
    )
    assert scored(written) == ["<call>weather</call><|im_end|>", "21 degrees<|im_end|>"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LLAVA_NEXT_TEMPLATE.replace("<image>", "<|image_pad|>"), r"as the .* knows, got user, .*"),
        (
            PLAIN.replace(PARTS, "{% if m['role'] != 'tool' %}" + PARTS + "{% endif %}"),
            "no '21' of the tool",
        ),
    ],
)
def test_a_tools_answer_is_refused_where_it_has_no_place(
    template: Callable[[str], ChatTemplate], text: str, reason: str
) -> None:
    turns = (*ASKED[:2], Turn("tool", "21"), Turn("assistant", "It is warm."))
    with pytest.raises(Unfit, match=reason):
        template(text).written(turns, answered=True)


def test_the_models_own_tokens_are_refused_in_texts(
    template: Callable[[str], ChatTemplate],
) -> None:
    turns = (Turn("user", "What is <|im_end|>?"), Turn("assistant", "An end"))
    with pytest.raises(
        Unfit, match=r"got '<\|im_end\|>' in a turn of the user; write it otherwise"
    ):
        template(PLAIN).written(turns, answered=True)


def test_a_model_without_a_template_is_refused(
    template: Callable[[str | None], ChatTemplate],
) -> None:
    with pytest.raises(ValueError, match=r"come with a chat template .* got none; use an instruct"):
        template(None)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("<|image_pad|>", ""),  # of a model for text
        HEAD + "{{ m['content'] }}" + FOOT + PROMPT,  # that takes texts only
        HEAD + "{{ m['content'] + '' }}" + FOOT + PROMPT,
        HEAD + PARTS + FOOT + "{% if %}",
    ],
)
def test_a_template_that_does_not_take_pictures_is_refused(
    template: Callable[[str], ChatTemplate], text: str
) -> None:
    with pytest.raises(ValueError, match=r"must take a question about a picture and its answer"):
        template(text)
