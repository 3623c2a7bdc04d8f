"""An id in an address: refused where it cannot be one, before any database sees the text."""

from fastapi import Request

from rankscope.storage.errors import no_such_run
from rankscope.storage.ids import is_run_id


async def possible_run_id(request: Request) -> None:
    """FastAPI dependency of routes with a ``run_id``.

    Raises:
        UnknownRunError: If no run can have this id.
    """
    run_id = request.path_params.get("run_id")
    if run_id is not None and not is_run_id(run_id):
        raise no_such_run(run_id)
