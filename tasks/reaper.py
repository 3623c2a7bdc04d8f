"""Take back the runs whose process is gone, whoever started them and wherever."""

import time
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine

from rankscope.storage.ending import fail_abandoned_foreground_runs
from rankscope.storage.queue import requeue_expired
from rankscope.storage.tables import BenchmarkEvaluation, Run
from rankscope.storage.workers import forget_dead

log = structlog.get_logger()

SETTLE_S = 5.0
"""After a database was away, or this machine slept, live trainers first get time to speak: they
try again every 2 s at the longest."""
FORGET_WORKERS_S = 600.0
"""A worker gone for longer is of no interest to people."""


class Reaper:
    """Looks at the leases every few seconds; any number may work at the same time.

    It trusts an expired lease only after it has itself looked without a gap for ``SETTLE_S``.
    """

    def __init__(self, engine: Engine, *, every_s: float) -> None:
        self._engine = engine
        self._largest_gap_s = every_s + SETTLE_S
        self._looked_at = 0.0  # by the wall clock, which notices that the machine slept
        self._since = 0.0

    def reap(self) -> None:
        """Requeue, fail or give up what has expired; raises what the database raises."""
        now = time.time()
        if abs(now - self._looked_at) > self._largest_gap_s:
            self._since = now
        self._looked_at = 0.0  # until the database has answered
        if now - self._since < SETTLE_S:
            with self._engine.connect():
                pass
        else:
            self._take_back(datetime.fromtimestamp(now, UTC))
        self._looked_at = now

    def _take_back(self, now: datetime) -> None:
        for job in (Run, BenchmarkEvaluation):
            for run_id in requeue_expired(self._engine, now, job):
                log.warning("lease expired", run=run_id)
            for run_id in fail_abandoned_foreground_runs(self._engine, now, job):
                log.warning("foreground run abandoned", run=run_id)
        forget_dead(self._engine, FORGET_WORKERS_S)
