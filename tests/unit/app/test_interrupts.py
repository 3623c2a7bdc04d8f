"""No Ctrl-C is lost, wherever it comes up."""

import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from rankscope.app.interrupts import Interrupts

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


class Finalized:
    """What is raised while it is thrown away is dropped by Python."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_within_a_finalizer_counts_and_is_taken_once() -> None:
    with Interrupts() as interrupts:
        assert not interrupts.take()
        Finalized()
        assert interrupts.take()
        assert not interrupts.take()


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["raises", "ignored"])
def handler_before(request: pytest.FixtureRequest) -> Iterator[Handler]:
    """What a shell in the foreground starts Python with, and what one in the background does."""
    inherited = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, inherited)


def test_every_interrupt_counts_and_the_handler_before_comes_back(handler_before: Handler) -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert [interrupts.take() for _ in range(3)] == [True, True, False]
    assert signal.getsignal(signal.SIGINT) is handler_before
