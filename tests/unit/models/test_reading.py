"""YAML that somebody sends: what is refused, and where single fields are to blame."""

import pytest

from rankscope.models.reading import MAX_TEXT_LENGTH, ConfigError, parse_config, read_config

LAUGHS = "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def test_yaml_that_is_sent_gives_a_config() -> None:
    assert read_config("data: {kind: scenes}\nseed: 3", "the text").seed == 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x" * (MAX_TEXT_LENGTH + 1), "must not exceed 65,536 characters"),
        (LAUGHS, "must not use YAML aliases"),
        ("[" * 5000, "must be YAML"),
        ("seed: 2001-99-99", "must be YAML"),
        ("seed: " + "9" * 5000, "must be YAML"),
        ('"\\UFFFFFFFF"', "must be YAML"),
        ("!!python/object/apply:os.system ['true']", "must be YAML"),
        ("- data", "must be a mapping"),
        ("", "must be a mapping"),
    ],
)
def test_text_that_would_hurt_is_refused_in_one_line(text: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule) as caught:
        read_config(text, "the text")
    assert "\n" not in str(caught.value)


def test_every_problem_names_its_field_and_pydantics_place() -> None:
    raw = {"data": {"kind": "scenes", "seed": -1}, "optimizer": {"lr": 2}, "what": 1}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    problems = caught.value.problems
    assert [(p.field, p.place) for p in problems] == [
        ("data.seed", ("data", "scenes", "seed")),
        ("optimizer.lr", ("optimizer", "lr")),
        ("what", ("what",)),
    ]
    assert str(caught.value) == "; ".join(p.message for p in problems)


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ConfigError, match=r"checkpoint.every_s"):
        read_config("data: {kind: scenes}\ncheckpoint: {every_s: .inf}", "the text")
