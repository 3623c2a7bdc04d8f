"""The worker process: ``celery -A rankscope.tasks.worker worker``, or ``rankscope worker``.

Celery brings the messages and the process's life; the rest is :mod:`rankscope.tasks.duties`.
"""

from celery.apps.worker import Worker
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from rankscope.storage.settings import Settings
from rankscope.tasks.adapters import export_adapter
from rankscope.tasks.celery_app import EXPORT, WORK, make_celery
from rankscope.tasks.duties import Duties
from rankscope.tasks.logs import log_to_stderr
from rankscope.tasks.settings import WorkerSettings

celery_app = make_celery(Settings())


def equip(instance: Worker, **_: object) -> None:
    """Give a Celery worker its duties and tasks, before it looks for Redis, which may be away."""
    log_to_stderr()
    settings = Settings()
    duties = Duties(
        settings,
        WorkerSettings(),
        worker_id=instance.hostname,
        queues=tuple(instance.app.amqp.queues.consume_from),
        num_slots=instance.concurrency,
    )

    def work(queue: str) -> None:
        """There is something to do; the truth is the database, the message is only a wake-up."""
        del queue  # this worker looks in its own, whatever the message says
        duties.wake()

    def export(run_id: str) -> None:
        """A run's last checkpoint as a plain PEFT adapter."""
        export_adapter(settings, run_id, duties.ending)

    def end(**_: object) -> None:
        duties.end()

    def join(**_: object) -> None:
        duties.end()
        duties.join()

    instance.app.task(name=WORK)(work)
    instance.app.task(name=EXPORT)(export)
    worker_shutting_down.connect(end, weak=False)
    worker_shutdown.connect(join, weak=False)
    duties.start()


celeryd_after_setup.connect(equip)
