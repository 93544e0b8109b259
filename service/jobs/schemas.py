"""Bodies of the job routes."""

from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from amlp.config import config_digest, parse_run_config
from service.jobs.reasons import FailureReason
from service.jobs.tables import Job, JobArtifact
from service.models.registry import NAME_PATTERN, REFERENCE_PATTERN
from service.schemas import Schema, Timestamp

JobKind = Literal["pretrain", "finetune", "evaluate"]
JobState = Literal["QUEUED", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"]

_ID_PATTERN = r"^[A-Za-z0-9_]{1,40}$"

_REQUEST_EXAMPLES: list[JsonDict] = [
    {
        "kind": "pretrain",
        "dataset": "ds_01JD8QH0000000000000000000",
        "config": {"preset": "amlp", "encoder": "vit_small", "schedule": {"epochs": 200}},
    },
    {
        "kind": "finetune",
        "dataset": "ds_01JD8QH0000000000000000000",
        "init_from": "skin-pretrain@champion",
        "model": "skin-segment",
        "config": {"schedule": {"epochs": 100}},
    },
    {
        "kind": "evaluate",
        "dataset_version": "dsv_01JD8QH0000000000000000000",
        "model_version": "skin-segment@3",
        "config": {"split": "test"},
    },
]

_JOB_EXAMPLE: JsonDict = {
    "id": "job_01JD8QK0000000000000000000",
    "kind": "pretrain",
    "state": "RUNNING",
    "reason": None,
    "phase": "training",
    "progress": {"fraction": 0.25, "step": 500, "total_steps": 2000, "epoch": 50},
    "dataset_version": {"id": "dsv_01JD8QH0000000000000000000", "digest": "sha256:2c26b46b68ff"},
    "model": "skin-pretrain",
    "init_from": None,
    "model_version": None,
    "config": {"kind": "pretrain", "preset": "amlp", "seed": 0},
    "config_digest": "sha256:9f86d081884c",
    "warnings": [],
    "attempt": 1,
    "max_attempts": 3,
    "lease": {"owner": "worker@host", "epoch": 1, "expires_at": "2026-11-22T20:45:18Z"},
    "result": None,
    "error": None,
    "parent_id": None,
    "cancel_requested_at": None,
    "pause_requested_at": None,
    "created_at": "2026-11-22T20:44:00Z",
    "started_at": "2026-11-22T20:44:02Z",
    "finished_at": None,
    "links": {"self": "/v1/jobs/job_01JD8QK0000000000000000000"},
}


class JobRequest(Schema):
    """What to compute, on which data set version, from and into which model."""

    model_config = ConfigDict(json_schema_extra={"examples": list(_REQUEST_EXAMPLES)})

    kind: JobKind
    dataset: str | None = Field(
        None, pattern=_ID_PATTERN, description="A data set: its newest version is used"
    )
    dataset_version: str | None = Field(
        None, pattern=_ID_PATTERN, description="Or exactly this version"
    )
    model: str | None = Field(
        None, pattern=NAME_PATTERN, description="Name to register the result under"
    )
    init_from: str | None = Field(
        None, pattern=REFERENCE_PATTERN, description="Pretrained model to fine-tune from"
    )
    model_version: str | None = Field(
        None, pattern=REFERENCE_PATTERN, description="Segmenter to evaluate"
    )
    config: dict[str, Any] = Field(
        default_factory=dict, description="The run; `amlp config KIND` lists its fields"
    )
    max_attempts: int | None = Field(None, ge=1, le=20, description="Attempts before it fails")


class ExtensionRequest(Schema):
    """How much longer to train."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"epochs": 50}]})

    epochs: int = Field(ge=1, le=100_000, description="Epochs beyond those of the finished job")


class Progress(Schema):
    """How far the job is, as of its last report."""

    fraction: float = Field(0.0, ge=0, le=1)
    step: int = 0
    total_steps: int | None = None
    epoch: int | None = None
    total_epochs: int | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    metrics: dict[str, float] = Field(
        default_factory=dict, description="Newest value of each metric"
    )


class DatasetVersionRef(Schema):
    """The images and masks of a job."""

    id: str
    digest: str


class Lease(Schema):
    """Who works on the job, and until when it must report again."""

    owner: str
    epoch: int = Field(description="Fencing token: a writer with an older one is refused")
    expires_at: Timestamp


class JobError(Schema):
    """Why the job failed, or why its last attempt did."""

    code: str
    message: str


class JobView(Schema):
    """A job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB_EXAMPLE]})

    id: str
    kind: JobKind
    state: JobState
    reason: str | None = Field(
        description="Why it is in this state: preempted, cancelled, expired, dataset_deleted, "
        f"or why an attempt failed: {', '.join(get_args(FailureReason))}"
    )
    phase: str | None = Field(description="What a running job does now")
    progress: Progress
    dataset_version: DatasetVersionRef
    model: str = Field(description="Name the result is registered under")
    init_from: str | None = Field(description="Version the encoder comes from")
    model_version: str | None = Field(description="Version that is evaluated")
    config: dict[str, Any] = Field(description="The run with every default filled in")
    config_digest: str = Field(description="Names the experiment, whatever data it runs on")
    warnings: list[str]
    attempt: int
    max_attempts: int
    lease: Lease | None
    result: dict[str, Any] | None = Field(description="The registered model and its metrics")
    error: JobError | None
    parent_id: str | None = Field(description="The job that this one repeats or extends")
    cancel_requested_at: Timestamp | None
    pause_requested_at: Timestamp | None = Field(
        description="Since when the job is paused, or asked to; null otherwise"
    )
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    links: dict[str, str]

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """Return the view of a row."""
        lease = {"owner": job.owner, "epoch": job.epoch, "expires_at": job.lease_until}
        columns = {
            name: getattr(job, name)
            for name in (
                *("id", "kind", "state", "reason", "phase", "progress", "attempt"),
                *("max_attempts", "result", "error", "parent_id", "cancel_requested_at"),
                "pause_requested_at",
                *("created_at", "started_at", "finished_at"),
            )
        }
        spec = {name: job.spec[name] for name in ("model", "init_from", "model_version", "config")}
        return cls.model_validate(
            {
                **columns,
                **spec,
                "warnings": job.spec.get("warnings", []),
                "config_digest": config_digest(parse_run_config(job.spec["config"])),
                "dataset_version": {
                    "id": job.spec["dataset_version"],
                    "digest": job.spec["dataset_digest"],
                },
                "lease": lease if job.owner is not None else None,
                "links": _links(job.id),
            }
        )


class Series(Schema):
    """One metric over the steps of a job; the four lists have equal lengths."""

    steps: list[int]
    epochs: list[int]
    attempts: list[int] = Field(description="A change marks where the job went on after a break")
    values: list[float]


class MetricSeries(Schema):
    """The metrics of a job, thinned to what was asked for."""

    series: dict[str, Series]


class ArtifactView(Schema):
    """A file or folder that a job left."""

    id: str
    kind: str = Field(description="checkpoint, model, picture, evaluation or log")
    name: str
    step: int
    epoch: int = Field(description="Fencing epoch of the attempt that wrote it")
    sha256: str
    num_bytes: int
    metrics: dict[str, Any]
    created_at: Timestamp
    content: str | None = Field(description="Where its bytes are; null for a folder")

    @classmethod
    def of(cls, artifact: JobArtifact, content: str | None) -> "ArtifactView":
        """Return the view of a row; `content` is the address of its bytes."""
        columns = ("id", "kind", "name", "step", "epoch", "sha256", "num_bytes", "metrics")
        row = {name: getattr(artifact, name) for name in (*columns, "created_at")}
        return cls.model_validate({**row, "content": content})


def _links(job_id: str) -> dict[str, str]:
    own = f"/v1/jobs/{job_id}"
    parts = ("events", "metrics", "artifacts", "cancel", "pause", "resume", "retry", "extend")
    return {"self": own, **{part: f"{own}/{part}" for part in parts}}
