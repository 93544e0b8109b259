"""The queue: Celery on Redis carries wake-ups, each with nothing but a job's id.

A message may be lost, doubled or late; the job's row decides (docs/adr). Tasks are sent by name, so
this module knows no worker.
"""

from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

RUN_JOB_TASK = "worker.run_job"
TRAIN_QUEUE = "train"
CONNECT_SECONDS = 2

_PUBLISHER_OPTIONS = {  # a client waits for this: one try of a second, the reconciler tries again
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "retry_on_timeout": False,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "connect_retries_timeout": 1,
}


def make_celery(redis_url: str) -> Celery:
    """Return a Celery application set up to lose nothing that matters.

    Early acknowledgement, no results, no redelivery: recovery is the reconciler's.
    """
    app = Celery("amlp", broker=redis_url)
    app.conf.update(
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=TRAIN_QUEUE,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=60,
        worker_enable_soft_shutdown_on_idle=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": CONNECT_SECONDS,
            "health_check_interval": 10,
            "retry_on_timeout": True,
        },
    )
    return app


class Queue:
    """Sends wake-ups and tells whether the broker answers."""

    def __init__(self, redis_url: str) -> None:
        self._app = make_celery(redis_url)
        self._app.conf.broker_transport_options = _PUBLISHER_OPTIONS

    def publish(self, job_id: str) -> bool:
        """Wake a worker for `job_id`; False when the broker cannot be reached now."""
        try:
            self._app.send_task(RUN_JOB_TASK, args=[job_id], queue=TRAIN_QUEUE, retry=False)
        except (OperationalError, RedisError, OSError):
            return False
        return True

    def is_up(self) -> bool:
        """Whether the broker answers now."""
        return self.num_waiting() is not None

    def num_waiting(self) -> int | None:
        """Return how many wake-ups wait for a worker; None when the broker does not answer."""
        try:
            with self._app.connection_for_write(connect_timeout=CONNECT_SECONDS) as connection:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
                channel: Any = connection.default_channel  # typed for no transport in particular
                return int(channel.queue_declare(TRAIN_QUEUE).message_count)
        except (OperationalError, RedisError, OSError):
            return None

    def close(self) -> None:
        """Close all connections."""
        self._app.close()
