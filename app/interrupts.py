"""Ctrl-C and its relatives end a command once and in order."""

import signal
from types import TracebackType
from typing import Self

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_once() -> None:
    """Have the first of these signals raise ``KeyboardInterrupt`` and ignore all others.

    Asked once is enough: a second Ctrl-C would interrupt the very steps that end everything.
    """
    for number in _ENDING:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    del frame
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


class Interrupts:
    """Counts Ctrl-C within a ``with`` block, in the main thread.

    An exception raised by the signal could come up inside a library's finalizer, where Python drops
    it, and the person's Ctrl-C would be lost.
    """

    def __init__(self) -> None:
        self._num_waiting = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def take(self) -> bool:
        """Whether there was one that was not yet taken."""
        if not self._num_waiting:
            return False
        self._num_waiting -= 1
        return True

    def _count(self, number: int, frame: object) -> None:
        del number, frame
        self._num_waiting += 1
