"""What the pictures of one run are laid out by: its modules, its length, its largest rank."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.packing import unpack_json, unpack_ranks
from rankscope.storage.tables import RankChange, Run


class RunPlaces(NamedTuple):
    """Where a run's ranks and curves have their places; it stays as it is while the run lives."""

    config: dict[str, Any]
    num_steps: int
    modules: tuple[AdaptableModule, ...]
    """Empty until the run has started."""
    max_rank: int
    """Upper end of the colour scale: the largest rank allowed, or started with."""


def run_places(engine: Engine, run_id: str) -> RunPlaces:
    """Read them.

    Raises:
        UnknownRunError: If there is no such run.
    """
    statement = select(Run.config, Run.num_steps, Run.inventory).where(Run.id == run_id)
    with engine.connect() as connection:
        run = connection.execute(statement).one_or_none()
        if run is None:
            raise UnknownRunError(
                f"a run's id must exist, got {run_id!r}; see them with: rankscope runs"
            )
        first = _largest_first_rank(connection, run_id)
    packed = run.inventory
    modules = Inventory.model_validate_json(unpack_json(packed)).modules if packed else ()
    widest = max((min(module.d_in, module.d_out) for module in modules), default=1)
    # a run of another version may say it elsewhere
    allowed = run.config.get("lora", {}).get("max_rank", 1)
    return RunPlaces(run.config, run.num_steps, modules, max(first, min(allowed, widest)))


def _largest_first_rank(connection: Connection, run_id: str) -> int:
    """Of the first allocation; AdaLoRA starts above what planners may give."""
    statement = select(RankChange.ranks).where(RankChange.run_id == run_id)
    packed = connection.execute(statement.order_by(RankChange.event_id).limit(1)).scalar()
    if not packed:
        return 0
    _, ranks_C = unpack_ranks(packed)
    return int(ranks_C.max())
