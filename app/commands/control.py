"""``rankscope stop`` and ``resume``: end a run early, let it go on."""

from rankscope.app.commands.run import train_in_foreground
from rankscope.app.options import AsJson, RunId
from rankscope.app.store import open_store
from rankscope.app.terminal import out, print_json
from rankscope.models.events import OPEN_STATUSES, RunStatus
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import get_run, resolve_run
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def stop(run: RunId, as_json: AsJson = False) -> None:
    """Stop a run: a waiting one at once, a live one at its next step, its state saved."""
    settings = Settings()
    engine = open_store(settings)
    run_id = resolve_run(engine, run)
    status = client.stop(engine, settings, run_id)
    said = "stopped" if status == "stopped" else f"{status}; it stops at its next step"
    _tell(run_id, status, said, as_json=as_json)


def resume(run: RunId, as_json: AsJson = False) -> int | None:
    """Let a stopped or failed run go on from its last checkpoint, in the queue if it was there."""
    settings = Settings()
    engine = open_store(settings)
    record = get_run(engine, resolve_run(engine, run))
    if record.origin != "foreground":
        status = client.resume(engine, settings, record.id)
        _tell(record.id, status, "waits in the queue", as_json=as_json)
        return None
    client.check_training_packages()
    if record.status == "done":
        raise RunRefusedError(
            f"only a run that did not end as done can go on, got {record.id} which is done; "
            "start a new run instead"
        )
    if record.status in OPEN_STATUSES:
        raise RunRefusedError(
            f"only a run that has ended can go on, got {record.id} which is {record.status}; "
            f"stop it, or wait until its lease ends ({record.lease_until:%H:%M:%S} UTC)"
        )
    return train_in_foreground(engine, settings, record.id, as_json=as_json)


def _tell(run_id: str, status: RunStatus, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"run": run_id, "status": status})
    else:
        out.print(f"{run_id} {said}", markup=False)
