"""From a request to a job: everything that can be refused is refused before anything runs."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from pydantic import ValidationError
from sqlalchemy.orm import Session

from amlp.config import EvaluateConfig, FinetuneConfig, PretrainConfig, parse_run_config
from amlp.errors import ConfigError
from service.datasets.tables import Dataset, DatasetVersion
from service.datasets.versions import find_version
from service.errors import Fault, Unprocessable
from service.jobs.lifecycle import NewJob
from service.jobs.schemas import JobRequest
from service.models.registry import resolve
from service.models.tables import ModelVersion
from service.validation import faults_of

MIN_PRETRAINING_UPDATES = 2000

Run = PretrainConfig | FinetuneConfig | EvaluateConfig


@dataclass(frozen=True)
class Submitter:
    """Whose job it becomes, under which idempotency key, with how many attempts by default."""

    tenant_id: str
    idempotency_key: str | None
    max_attempts: int


def fingerprint(request: JobRequest) -> str:
    """Return the digest of what was asked, which an idempotency key stands for.

    It covers the request and not what its references mean today: a repeated request is the same
    request even after an alias has moved or the data set has a newer version.
    """
    canonical = json.dumps(request.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def resolve_request(session: Session, request: JobRequest, submitter: Submitter) -> NewJob:
    """Check a request against its data set and models and return the job it asks for.

    Raises:
        NotFound: the data set version or a model does not exist.
        Unprocessable: the config is wrong, or does not fit the data or the model.
    """
    run = _parse_config(request)
    version = find_version(session, submitter.tenant_id, _dataset_reference(request))
    _check_references(request)
    init = _model(session, submitter, request.init_from, "pretrained", "/init_from", version)
    evaluated = _model(
        session, submitter, request.model_version, "segmenter", "/model_version", version
    )
    _check_cases(run, version)
    if init is not None and isinstance(run, FinetuneConfig):
        _check_patches(run, init)
    if evaluated is not None:
        _check_labels(evaluated, version)
    spec = {
        "config": run.model_dump(mode="json"),
        "model": request.model or _default_name(session, run, version, evaluated),
        "init_from": init.id if init else None,
        "model_version": evaluated.id if evaluated else None,
        "dataset_version": version.id,
        "dataset_digest": version.digest,
        "warnings": _warnings(run, version.summary),
    }
    base = init or evaluated
    return NewJob(
        tenant_id=submitter.tenant_id,
        kind=request.kind,
        spec=spec,
        spec_sha256=fingerprint(request),
        dataset_version_id=version.id,
        base_model_version_id=base.id if base else None,
        max_attempts=request.max_attempts or submitter.max_attempts,
        idempotency_key=submitter.idempotency_key,
    )


def _parse_config(request: JobRequest) -> Run:
    if request.config.get("kind", request.kind) != request.kind:
        raise _fault("/config/kind", f"differs from the job's kind {request.kind}")
    config = {**request.config, "kind": request.kind}
    try:
        return parse_run_config(config)
    except ConfigError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        located = [
            {**fault, "loc": _location(fault["loc"], config, fault["type"])}
            for fault in error.__cause__.errors()
        ]
        noun = "fault" if len(located) == 1 else "faults"
        detail = f"the config of this {request.kind} job has {len(located)} {noun}"
        raise Unprocessable(detail, faults=faults_of(located, "/config")) from error


def _location(
    parts: Sequence[str | int], config: Mapping[str, Any], fault: str
) -> tuple[str | int, ...]:
    """Return the place in `config` that pydantic means: its own has variants' names in between."""
    found: list[str | int] = []
    value: Any = config
    for depth, part in enumerate(parts):
        inside = _inside(value, part)
        if inside is not None:
            value = inside[0]
        elif depth < len(parts) - 1 or fault != "missing":
            continue
        found.append(part)
    return tuple(found)


def _inside(value: Any, part: str | int) -> tuple[Any] | None:  # any JSON
    match value, part:
        case dict(), str() if part in value:
            return (value[part],)
        case list(), int() if part < len(value):
            return (value[part],)
        case _:
            return None


def _dataset_reference(request: JobRequest) -> str:
    match request.dataset, request.dataset_version:
        case (None, str(reference)) | (str(reference), None):
            return reference
        case _:
            raise _fault("/dataset", "expected exactly one of dataset and dataset_version")


def _check_references(request: JobRequest) -> None:
    if request.init_from is not None and request.kind != "finetune":
        raise _fault("/init_from", f"only a finetune job starts from a model, not {request.kind}")
    if request.model_version is not None and request.kind != "evaluate":
        raise _fault("/model_version", f"only an evaluate job takes one, not {request.kind}")
    if request.model_version is None and request.kind == "evaluate":
        raise _fault("/model_version", "an evaluate job needs the segmenter to evaluate")


def _check_cases(run: Run, version: DatasetVersion) -> None:
    summary = version.summary
    splits, labelled = summary["splits"], summary["labelled_splits"]
    match run:
        case PretrainConfig():
            usable = summary["cases"] if run.transductive else splits.get("train", 0)
            needed, among = "one training image", summary["cases"]
        case FinetuneConfig():
            usable, needed = labelled.get("train", 0), "one training image with a mask"
            among = splits.get("train", 0)
        case EvaluateConfig():
            usable, needed = labelled.get(run.split, 0), f"one {run.split} image with a mask"
            among = splits.get(run.split, 0)
        case _:
            assert_never(run)
    if usable == 0:
        code = "empty-dataset" if isinstance(run, PretrainConfig) or among == 0 else "unlabelled"
        raise Unprocessable(f"expected at least {needed}, found 0 among {among} images", code=code)
    if not isinstance(run, PretrainConfig) and summary["lesion_cases"] == 0:
        raise Unprocessable(
            f"no lesion at all: none of the {summary['labelled']} masks labels a single pixel",
            code="no-lesion",
        )


def _model(
    session: Session,
    submitter: Submitter,
    reference: str | None,
    kind: str,
    pointer: str,
    version: DatasetVersion,
) -> ModelVersion | None:
    if reference is None:
        return None
    model = resolve(session, submitter.tenant_id, reference)
    if model.kind != kind:
        raise _fault(pointer, f"{model.name}@{model.number} is a {model.kind}, expected a {kind}")
    seen, expected = version.summary["channels"], model.card["architecture"]["channels"]
    if seen != expected:
        raise Unprocessable(
            f"the data set's images have {seen} channels, "
            f"{model.name}@{model.number} expects {expected}",
            code="inconsistent-geometry",
        )
    return model


def _check_patches(run: FinetuneConfig, init: ModelVersion) -> None:
    patch_size = init.card["architecture"]["patch_size"]  # the checkpoint's own wins
    if run.image_size % patch_size:
        raise _fault(
            "/config/image_size",
            f"{run.image_size}, expected a multiple of the {patch_size} pixels of a patch of "
            f"{init.name}@{init.number}",
        )


def _check_labels(model: ModelVersion, version: DatasetVersion) -> None:
    seen = list(version.summary["label_names"])
    expected = list(model.card["architecture"]["label_names"])
    if seen != expected:
        raise _fault(
            "/model_version",
            f"{model.name}@{model.number} tells {', '.join(expected)} apart, "
            f"the data set has {', '.join(seen)}",
        )


def _default_name(
    session: Session, run: Run, version: DatasetVersion, evaluated: ModelVersion | None
) -> str:
    if evaluated is not None:
        return evaluated.name
    dataset = session.get_one(Dataset, version.dataset_id)
    slug = re.sub(r"[^a-z0-9]+", "-", dataset.name.lower()).strip("-")[:80] or "model"
    return f"{slug}-pretrain" if isinstance(run, PretrainConfig) else f"{slug}-segment"


def _warnings(run: Run, summary: Mapping[str, Any]) -> list[str]:
    match run:
        case PretrainConfig():
            return _pretraining_warnings(run, summary)
        case FinetuneConfig():
            return _fine_tuning_warnings(summary)
        case EvaluateConfig():
            return []
        case _:
            assert_never(run)


def _fine_tuning_warnings(summary: Mapping[str, Any]) -> list[str]:
    images, labelled = summary["splits"]["train"], summary["labelled_splits"]["train"]
    if labelled == images:
        return []
    return [f"{labelled} of {images} training images have a mask; the others are not used"]


def _pretraining_warnings(run: PretrainConfig, summary: Mapping[str, Any]) -> list[str]:
    share = 1.0 if run.transductive else summary["splits"]["train"] / summary["cases"]
    images = max(1, round(summary["slices"] * share))
    updates = run.schedule.epochs * (images // min(run.batch_size, images))
    if updates >= MIN_PRETRAINING_UPDATES:
        return []
    return [
        f"about {updates} updates are planned; below {MIN_PRETRAINING_UPDATES} a pretraining shows "
        "the line at work, not what pretraining gains"
    ]


def _fault(pointer: str, detail: str) -> Unprocessable:
    return Unprocessable(f"{pointer[1:]}: {detail}", faults=[Fault(pointer, detail)])
