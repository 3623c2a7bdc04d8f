"""No Ctrl-C is lost, wherever it comes up."""

import signal

import pytest

from rankscope.app.interrupts import Interrupts


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


def test_every_interrupt_counts_and_afterwards_they_are_raised_again() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert [interrupts.take() for _ in range(3)] == [True, True, False]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
