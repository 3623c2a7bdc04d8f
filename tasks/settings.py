"""Settings of worker and training processes, from the environment only."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from rankscope.storage.environment import EnvironmentSettings


class WorkerSettings(EnvironmentSettings):
    """How patient workers are and what they do at shutdown: ``RANKSCOPE_LEASE_S`` and so on."""

    model_config = SettingsConfigDict(env_prefix="RANKSCOPE_")

    on_shutdown: Literal["leave", "requeue"] = Field(
        "leave",
        description="What becomes of running trainings when their worker ends: they train on and "
        "the next worker on this host takes them over (leave), or they save and go back to the "
        "queue (requeue), as they must where they end with the worker's container.",
    )
    lease_s: float = Field(
        30, gt=0, description="A training process silent for so long is taken for dead."
    )
    start_lease_s: float = Field(
        120, gt=0, description="The same until its first word; torch imports slowly."
    )
    poll_s: float = Field(1, gt=0, description="Between looks at the queue without a message.")
    beat_s: float = Field(1, gt=0, description="Between heartbeats.")
    reap_s: float = Field(1.5, gt=0, description="Between looks for expired leases.")
    learn_every_runs: int = Field(
        50,
        ge=0,
        description="A worker learns the offline performance model of an architecture again when "
        "so many of its runs have ended since the last time; 0 never does.",
    )
    stop_grace_s: float = Field(
        20, gt=0, description="A training process that ignores a stop for longer is ended."
    )
    shutdown_grace_s: float = Field(
        30, gt=0, description="How long trainings may take to save when their worker ends."
    )
