"""A run's row as it was when read."""

from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from rankscope.models.config import RunConfig
from rankscope.models.data.record import DataRecord
from rankscope.models.events import RunStatus
from rankscope.models.external import AnyRun, ExternalRun
from rankscope.models.inventory import Inventory
from rankscope.storage.choices import Origin
from rankscope.storage.errors import RunRefusedError


class Parent(NamedTuple):
    """Where a forked run comes from."""

    run_id: str
    step: int


class RunRecord(BaseModel):
    """A run's row as it was when read; times in UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    described: AnyRun
    owner: str
    origin: Origin
    parent: Parent | None
    status: RunStatus
    status_reason: str
    queue: str
    is_held: bool
    attempt: int
    lease_until: datetime | None
    worker_id: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    step: int
    num_steps: int
    last_event_id: int
    inventory: Inventory | None
    budget_params: int | None
    max_live_params: int | None
    final_params: int | None
    other_trainable_params: int | None
    data_record: DataRecord | None
    log_path: str | None

    @property
    def config(self) -> RunConfig:
        """The configuration of a run that Rankscope trains.

        Raises:
            RunRefusedError: If it is somebody's own script that trains it.
        """
        self.check_is_ours()
        assert isinstance(self.described, RunConfig)
        return self.described

    def check_is_ours(self) -> None:
        """Refuse what only Rankscope's own trainer can do.

        Raises:
            RunRefusedError: If it is somebody's own script that trains the run.
        """
        if isinstance(self.described, ExternalRun):
            raise RunRefusedError(
                f"only a run that Rankscope trains can be trained, exported or cloned, {self.id} "
                "is external: of somebody's own script or imported; start its script again"
            )
