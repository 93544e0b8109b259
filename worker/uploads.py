"""Files of a run to storage, below the attempt's own prefix: no other attempt is overwritten."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from amlp.events import CheckpointWritten, Picture
from service.jobs.recording import NewArtifact, NewEvent
from service.jobs.transition import Fence
from service.storage import Storage

INFO_NAME = "checkpoint.json"
WEIGHTS_NAME = "weights.safetensors"


def upload_checkpoint(storage: Storage, fence: Fence, event: CheckpointWritten) -> NewEvent | None:
    """Store a checkpoint, `checkpoint.json` last; None when the run has removed it already."""
    key = f"{attempt_prefix(fence)}/checkpoints/{event.path.name}"
    try:
        num_bytes = _put_folder(storage, key, event.path)
    except FileNotFoundError:  # a newer one is there: the run keeps only the last few
        return None
    artifact = NewArtifact(
        kind="checkpoint",
        name=event.path.name,
        key=key,
        sha256=event.sha256,
        num_bytes=num_bytes,
        step=event.step,
        metrics=dict(event.metrics),
    )
    data = {"step": event.step, "epoch": event.epoch, "sha256": event.sha256}
    return NewEvent("checkpoint", data, artifact)


def upload_picture(storage: Storage, fence: Fence, event: Picture) -> NewEvent:
    """Store a picture."""
    artifact = _put_artifact(
        storage,
        NewArtifact(
            kind="picture",
            name=event.path.name,
            key=f"{attempt_prefix(fence)}/pictures/{event.path.name}",
            sha256="",
            num_bytes=0,
            step=event.step,
        ),
        event.path,
    )
    data = {"step": event.step, "epoch": event.epoch, "kind": event.kind}
    return NewEvent("picture", data, artifact)


def upload_model(storage: Storage, fence: Fence, checkpoint: Path) -> NewArtifact:
    """Store the trained network: its weights, and its `checkpoint.json` without the state's."""
    key = f"{attempt_prefix(fence)}/model"
    info = json.loads((checkpoint / INFO_NAME).read_bytes())
    info["files"] = {WEIGHTS_NAME: info["files"][WEIGHTS_NAME]}
    storage.put_file(f"{key}/{WEIGHTS_NAME}", checkpoint / WEIGHTS_NAME)
    storage.put_bytes(f"{key}/{INFO_NAME}", json.dumps(info, indent=1).encode())
    record = info["files"][WEIGHTS_NAME]
    return NewArtifact(
        kind="model",
        name="model",
        key=key,
        sha256=record["sha256"],
        num_bytes=record["size"],
        step=info["step"],
    )


def upload_evaluation(storage: Storage, fence: Fence, report: Path) -> NewArtifact:
    """Store the report of an evaluation."""
    artifact = NewArtifact(
        kind="evaluation",
        name="evaluation.json",
        key=f"{attempt_prefix(fence)}/evaluation.json",
        sha256="",
        num_bytes=0,
    )
    return _put_artifact(storage, artifact, report)


def upload_log(storage: Storage, fence: Fence, path: Path, *, step: int) -> NewArtifact:
    """Store what a stalled attempt wrote about itself."""
    name = f"stacks-{step:08d}.txt"
    artifact = NewArtifact(
        kind="log",
        name=name,
        key=f"{attempt_prefix(fence)}/logs/{name}",
        sha256="",
        num_bytes=0,
        step=step,
    )
    return _put_artifact(storage, artifact, path)


def attempt_prefix(fence: Fence) -> str:
    """Return the key below which everything of an attempt lies."""
    return f"jobs/{fence.job_id}/e{fence.epoch}"


def _put_artifact(storage: Storage, artifact: NewArtifact, path: Path) -> NewArtifact:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    storage.put_file(artifact.key, path)
    return replace(artifact, sha256=sha256, num_bytes=path.stat().st_size)


def _put_folder(storage: Storage, key: str, folder: Path) -> int:
    paths = sorted(folder.iterdir(), key=lambda path: (path.name == INFO_NAME, path.name))
    for path in paths:
        storage.put_file(f"{key}/{path.name}", path)
    return sum(path.stat().st_size for path in paths)
