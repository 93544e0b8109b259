"""The worker's one task: look at the job a message names, and run it if it is still to be run."""

import os
import signal
from contextlib import closing
from typing import Any

from celery import Celery

from service.queue import RUN_JOB_TASK
from service.resources import open_resources
from service.settings import Settings
from worker.lifeline import follow_parent
from worker.slot import Slot
from worker.stop import stop_on_sigterm
from worker.supervisor import run_job


def register_tasks(celery: Celery, settings: Settings) -> None:
    """Add the task to the application, under the name that the service sends."""

    def run_named_job(task: Any, job_id: str) -> None:
        # if the worker is killed its task would go on without it: put the job back instead
        parent, worker = os.getppid(), task.request.hostname
        with (
            stop_on_sigterm() as stop,
            Slot.of_worker(settings, worker).take() as free,
        ):
            follow_parent(signal.SIGTERM, parent=parent)
            if not free:  # the look-out is at work; the row waits, the reconciler wakes again
                return
            with closing(open_resources(settings)) as resources:
                run_job(resources, owner=worker, stop=stop, job_id=job_id)

    celery.task(name=RUN_JOB_TASK, bind=True)(run_named_job)
