"""``rankscope doctor`` looks at this machine and says what to do about what is amiss."""

from collections.abc import Callable

import pytest

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("empty_home")
def test_the_exit_code_says_whether_all_is_well(call: Call) -> None:
    code, said, _ = call("doctor")
    assert ("\nready" in said) == (code == 0)
    for what in ("Python", "training packages", "database", "runs folder", "machine", "embedded"):
        assert what in said


@pytest.mark.usefixtures("empty_home")
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@127.0.0.1:1/nowhere")
    code, _, complained = call("doctor")
    assert code == 2
    assert complained.count("\n") == 1
    assert "secret" not in complained
