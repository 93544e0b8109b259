"""The training process: `python -m worker.train --job JOB --epoch EPOCH --parent PID`.

It brings the data, runs the verb, and leaves `outcome.json` for its supervisor, which alone moves
the job. SIGTERM means: write a checkpoint and end.
"""

import argparse
import json
import logging
import math
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from types import FrameType

import structlog

from amlp.errors import Cancelled
from service.jobs.recording import NewArtifact, NewEvent, record
from service.jobs.transition import Fence
from service.logs import configure_logging
from service.resources import Resources, open_resources
from service.settings import Settings
from worker.failures import describe_failure
from worker.lifeline import follow_parent
from worker.narration import finite
from worker.outcome import Outcome
from worker.reporter import Reporter
from worker.staging import stage
from worker.stall import answer_with_stacks
from worker.uploads import INFO_NAME, upload_evaluation, upload_model
from worker.verbs import run_verb
from worker.workspace import Workspace

_EXIT_CODES = {"succeeded": 0, "failed": 1, "stopped": 3}

_log = structlog.get_logger(__name__)


def main() -> None:
    """Run one attempt of a job to its end."""
    parser = argparse.ArgumentParser(description="Run one attempt of a job")
    parser.add_argument("--job", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    parser.add_argument("--parent", required=True, type=int)
    arguments = parser.parse_args()
    settings = Settings()
    configure_logging(settings.log_level)
    fence, stop = Fence(arguments.job, arguments.epoch), threading.Event()
    with closing(open_resources(settings)) as resources:
        reporter = Reporter(resources, fence, stop)
        try:
            _stop_on_sigterm(reporter, stop, settings.stop_grace_seconds)
            follow_parent(signal.SIGTERM, parent=arguments.parent)
            answer_with_stacks(Workspace.of(settings, fence).stacks)
            outcome = _attempt(resources, fence, reporter)
        except Cancelled as error:
            reporter.close()
            outcome = Outcome(status="stopped", code=error.code, message=str(error))
        except Exception as error:
            _log.exception("job.attempt_failed", job_id=fence.job_id, epoch=fence.epoch)
            reporter.close()
            outcome = describe_failure(error)
    outcome.write(Workspace.of(settings, fence).outcome)
    logging.shutdown()
    os._exit(_EXIT_CODES[outcome.status])  # torch would take a second to take itself apart


def _stop_on_sigterm(reporter: Reporter, stop: threading.Event, grace_seconds: float) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            return
        stop.set()
        signal.alarm(math.ceil(grace_seconds))  # ends this process if it hangs and is alone
        if not reporter.has_started:
            raise Cancelled("stopped before the first step")

    signal.signal(signal.SIGTERM, on_signal)


def _attempt(resources: Resources, fence: Fence, reporter: Reporter) -> Outcome:
    _enter(resources, fence, "loading")
    with stage(resources, fence) as staged:
        result = run_verb(staged, reporter)
    if not reporter.close():
        # a stop here would come again and again at no cost; a failure counts as an attempt
        raise reporter.trouble or Cancelled(f"job {fence.job_id} has passed to another attempt")
    _enter(resources, fence, "exporting")
    done = Outcome(status="succeeded", metrics=finite(result.metrics), resources=_resources_used())
    if result.checkpoint is None:
        report = upload_evaluation(resources.storage, fence, result.files["evaluation"])
        _keep(resources, fence, report)
        return done
    _keep(resources, fence, upload_model(resources.storage, fence, result.checkpoint))
    card = _card(result.checkpoint)
    return done.model_copy(update={"model_kind": card["kind"], "card": card})


def _resources_used() -> dict[str, float]:
    usage = getrusage(RUSAGE_SELF)
    kib = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return {
        "peak_memory_bytes": usage.ru_maxrss * kib,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


def _card(checkpoint: Path) -> dict[str, str]:
    card: dict[str, str] = json.loads((checkpoint / INFO_NAME).read_bytes())
    return card


def _enter(resources: Resources, fence: Fence, phase: str) -> None:
    with resources.database.write() as session:
        if not record(session, fence, [], phase=phase):
            raise Cancelled(f"job {fence.job_id} has passed to another attempt")


def _keep(resources: Resources, fence: Fence, artifact: NewArtifact) -> None:
    event = NewEvent("note", {"message": f"the {artifact.kind} is stored"}, artifact)
    with resources.database.write() as session:
        if not record(session, fence, [event]):
            raise Cancelled(f"job {fence.job_id} has passed to another attempt")


if __name__ == "__main__":
    main()
