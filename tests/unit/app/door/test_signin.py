"""Where somebody may be sent after signing in."""

import pytest

from rankscope.app.door.signin import own_path


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/", "/"),
        ("/run?run=1ryj&x=2", "/run?run=1ryj&x=2"),
        ("/compare?run=a&run=b&baseline=a", "/compare?run=a&run=b&baseline=a"),
        ("/?q=scheduler%3Dhydra", "/?q=scheduler%3Dhydra"),
        ("/?q=größe", "/?q=gr%C3%B6%C3%9Fe"),
    ],
)
def test_a_page_of_ours_is_kept(wanted: str, path: str) -> None:
    assert own_path(wanted) == path


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\r\nset-cookie: a=b",
        "/\t/evil.example",
        "http:evil.example",
        "/signin?next=/signin",
        "/signout",
        "//[",
    ],
)
def test_anything_else_leads_to_the_first_page(wanted: str) -> None:
    assert own_path(wanted) == "/"
