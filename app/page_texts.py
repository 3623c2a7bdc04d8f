"""History of runs as text, read once for all who ask at the same moment.

A message to reload reaches all viewers of a run at once; without this each would have the server
read and write the same page again.
"""

import asyncio
import time

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine

from rankscope.storage.live import to_json
from rankscope.storage.run_page import run_page


class PageTexts:
    """Reads pages of runs; whoever waits while one is read shares the next one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns: dict[str, _Turn] = {}

    async def read(self, run_id: str) -> str:
        """The run's page as JSON, never older than this call.

        Raises:
            UnknownRunError: If there is no such run.
        """
        asked_s = time.monotonic()
        turn = self._turns.setdefault(run_id, _Turn())
        turn.num_waiting += 1
        try:
            async with turn.lock:
                if turn.begun_s < asked_s:
                    begun_s = time.monotonic()
                    turn.text = await run_in_threadpool(self._read, run_id)
                    turn.begun_s = begun_s
                return turn.text
        finally:
            turn.num_waiting -= 1
            if not turn.num_waiting:
                self._turns.pop(run_id, None)

    def _read(self, run_id: str) -> str:
        return to_json(run_page(self._engine, run_id))


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.num_waiting = 0
        self.begun_s = -1.0
        self.text = ""
