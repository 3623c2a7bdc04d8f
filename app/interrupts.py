"""Ctrl-C and its relatives end a command once and in order."""

import signal

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
