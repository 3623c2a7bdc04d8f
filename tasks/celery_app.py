"""Celery as Rankscope sets it: for whoever sends a message and for the workers that take it.

A message only wakes workers; what there is to do, and who does it, the database decides. So
messages may be lost, doubled or late, and nothing waits for a result.
"""

from celery import Celery

from rankscope.storage.settings import Settings

WORK = "rankscope.work"
"""Task: look at the queue now. Argument: the queue's name."""
EXPORT = "rankscope.export"
"""Task: export a run's last checkpoint as an adapter. Argument: the run's id."""

_SEVEN_DAYS_S = 7 * 24 * 3600


def make_celery(settings: Settings, *, answer_within_s: float | None = None) -> Celery:
    """The Celery application; it connects only when it is used.

    Args:
        settings: Where Redis is.
        answer_within_s: How long a sender waits for a Redis that is away, before sending raises
            ``kombu.exceptions.OperationalError``. A worker (None) waits as long as it takes.
    """
    app = Celery("rankscope", broker=settings.celery_broker_url, set_as_current=False)
    app.conf.update(
        worker_pool="threads",
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_soft_shutdown_timeout=0.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend=None,
        task_ignore_result=True,
        accept_content=["json"],
        task_serializer="json",
        worker_redirect_stdouts=False,  # structlog writes to stderr itself
        broker_transport_options={
            "visibility_timeout": _SEVEN_DAYS_S,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "queue_order_strategy": "priority",
            "global_keyprefix": "rankscope:celery:",
        },
    )
    if answer_within_s is not None:
        # one try: kombu would otherwise connect again for minutes
        app.conf.task_publish_retry = False
        app.conf.broker_transport_options |= {
            "max_retries": 0,
            "socket_timeout": answer_within_s,
            "socket_connect_timeout": answer_within_s,
            "retry_on_timeout": False,
        }
    return app
