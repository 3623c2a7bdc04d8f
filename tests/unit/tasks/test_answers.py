"""Processes that answer: started once, looked up while they work; Python's own start is enough."""

import time

from rankscope.models.config import RunConfig
from rankscope.models.data import Scenes
from rankscope.tasks.answers import Answered, Answers, Refused, Working

CONFIG = RunConfig(data=Scenes())
ENDS_WITHIN_S = 250.0
SILENT = "settings"
"""A module that does nothing when it is run: status 0 and no word."""
MISSING = "no_such_module"


def end_of(answers: Answers, verb: str, *arguments: str) -> Answered | Refused:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while isinstance(answer := answers.look(verb, *arguments, config=CONFIG), Working):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def test_a_question_is_asked_once_and_answered_for_all() -> None:
    answers = Answers()
    assert answers.progress(SILENT) is None
    assert isinstance(answers.look(SILENT, config=CONFIG), Working)
    assert isinstance(answers.progress(SILENT), Working | Answered)
    first = end_of(answers, SILENT)
    assert first == Answered("")
    assert answers.look(SILENT, config=CONFIG) is first
    assert isinstance(answers.look(SILENT, config=CONFIG, again=True), Working)
    answers.close()


def test_the_last_words_of_a_process_that_failed_are_its_refusal() -> None:
    answers = Answers()
    refused = end_of(answers, MISSING)
    assert isinstance(refused, Refused)
    assert f"No module named rankscope.tasks.{MISSING}" in refused.message
    assert answers.progress(MISSING) is refused
    assert answers.look(MISSING, config=CONFIG) is refused  # not again at once
    answers.close()


def test_a_process_that_takes_too_long_is_ended() -> None:
    answers = Answers(limit_s=0.01)
    refused = end_of(answers, "listing", '{"kind": "embedded"}')
    assert isinstance(refused, Refused)
    assert "must come within" in refused.message


def test_when_the_server_ends_its_processes_end_and_no_more_are_started() -> None:
    answers = Answers(max_processes=1)
    answers.look("listing", '{"kind": "embedded"}', config=CONFIG)
    answers.look("listing", "waits behind it", config=CONFIG)
    answers.close()
    ended = end_of(answers, "listing", "waits behind it")
    assert ended == Refused("the server is ending; ask again")
