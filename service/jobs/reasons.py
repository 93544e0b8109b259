"""Why a job is in its state, by name, and what its user can do about it."""

from typing import Literal

FailureReason = Literal[
    "oom_killed",
    "cuda_oom",
    "out_of_memory",
    "diverged",
    "data",
    "config",
    "checkpoint",
    "disk_full",
    "infrastructure",
    "crashed",
    "worker_lost",
    "poison",
    "internal",
]
"""Reasons of attempts that failed; the others are `preempted`, `paused`, `resumed`, `cancelled`,
`expired` and `dataset_deleted`."""

CRASH_REASONS: tuple[FailureReason, ...] = ("crashed", "oom_killed", "poison")
"""Reasons of attempts whose process ended without a word, which its supervisor saw."""

_ADVICE: dict[FailureReason, str] = {
    "oom_killed": "Give the worker more memory, or use fewer or smaller images.",
    "cuda_oom": "Use a smaller batch_size, image_size or encoder, or a GPU with more memory.",
    "out_of_memory": "Use a smaller batch_size or image_size, or give the worker more memory.",
    "diverged": "Use a smaller learning rate or a longer warm-up.",
    "data": "Check the images and masks of the data set version that the message names.",
    "config": "Change the config as the message says and submit a new job.",
    "checkpoint": "Start from another model version, or submit the job anew.",
    "disk_full": "Free space where the worker and the storage write.",
    "infrastructure": "See whether database, storage and broker answer, then retry the job.",
    "crashed": "See the worker's log for what the training process wrote last.",
    "worker_lost": "See whether the worker's machine is up and reaches the database.",
    "poison": "Try the same config on less data, and see the worker's log.",
    "internal": "Look for the job's id in the worker's log, and report the fault.",
}


def with_advice(reason: FailureReason, message: str) -> str:
    """Return what happened, followed by one sentence on what to do about it."""
    return f"{message}. {_ADVICE[reason]}"
