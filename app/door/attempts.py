"""How often somebody may try to sign in."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 300
MAX_PER_NAME = 5
MAX_PER_ADDRESS = 50
"""One office behind one address may mistype more often than one person."""
_MAX_KEYS = 10_000


class Attempts:
    """Counts attempts per name and address, and per address, within the last five minutes.

    An attempt counts before its password is checked: attempts at the same moment cannot slip
    through together. Kept in memory, as there is one web process; a restart forgives.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[tuple[str, str], deque[float]] = {}

    def begin(self, name: str, address: str) -> int:
        """Count an attempt.

        Returns:
            Seconds to wait when there were too many, and 0 when this one may go on.
        """
        now = self._clock()
        limits = {(address, name): MAX_PER_NAME, (address, ""): MAX_PER_ADDRESS}
        waits = [self._wait_s(key, limit, now) for key, limit in limits.items()]
        if max(waits):
            return max(waits)
        self._make_room(now)
        for key in limits:
            self._times.setdefault(key, deque()).append(now)
        return 0

    def forget(self, name: str, address: str) -> None:
        """The attempt was right: its name starts from zero."""
        self._times.pop((address, name), None)

    def _wait_s(self, key: tuple[str, str], limit: int, now: float) -> int:
        times = self._times.get(key, deque())
        while times and now - times[0] >= WINDOW_S:
            times.popleft()
        return 0 if len(times) < limit else int(WINDOW_S - (now - times[0])) + 1

    def _make_room(self, now: float) -> None:
        if len(self._times) < _MAX_KEYS:
            return
        old = [key for key, times in self._times.items() if now - times[-1] >= WINDOW_S]
        for key in old:
            del self._times[key]
