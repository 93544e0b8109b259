"""Fixtures of the worker's tests: a stored data set of phantoms, and jobs on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amlp.config import parse_run_config
from amlp.imageio.folder import read_folder
from amlp.manifest import Manifest
from amlp.phantom import generate_phantoms
from service.datasets.freeze import summarise
from service.datasets.tables import Dataset, DatasetVersion
from service.jobs import lifecycle
from service.jobs.lifecycle import NewJob
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources, open_resources
from service.settings import Settings

TINY: dict[str, Any] = {
    "kind": "pretrain",
    "image_size": 32,
    "patch_size": 8,
    "encoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "decoder": {"embed_dim": 24, "depth": 1, "num_heads": 2},
    "batch_size": 4,
    "schedule": {"epochs": 2},
    "checkpoint_every": 1,
    "precision": "fp32",
    "deterministic": True,
}


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the canonical folder of a dozen tiny phantoms."""
    folder = tmp_path_factory.mktemp("phantoms")
    raw = generate_phantoms(folder / "raw", 12, size=32)
    read_folder(raw, folder / "canonical", name="phantoms")
    return folder / "canonical"


@pytest.fixture
def worker_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "lease_seconds": 6.0,
            "heartbeat_seconds": 1.0,
            "cancel_poll_seconds": 0.2,
            "reconcile_seconds": 0.5,
            "retry_base_seconds": 0.0,
            "device": "cpu",
        }
    )


@pytest.fixture
def worker_resources(worker_settings: Settings) -> Iterator[Resources]:
    opened = open_resources(worker_settings)
    yield opened
    opened.close()


@pytest.fixture
def dataset_version(worker_resources: Resources, phantoms: Path) -> DatasetVersion:
    """Store the phantoms as a frozen data set version."""
    manifest = Manifest.load(phantoms)
    storage = worker_resources.storage
    for path in phantoms.rglob("*.png"):
        storage.put_file(f"datasets/ds_1/{path.relative_to(phantoms)}", path)
    storage.put_file("datasets/ds_1/versions/1/manifest.json", phantoms / "manifest.json")
    version = DatasetVersion(
        id="dsv_1",
        dataset_id="ds_1",
        tenant_id="default",
        number=1,
        digest=manifest.digest,
        manifest_key="datasets/ds_1/versions/1/manifest.json",
        summary=summarise(manifest),
        validation=[],
    )
    with worker_resources.database.write() as session:
        session.add(
            Dataset(
                id="ds_1",
                tenant_id="default",
                name="phantoms",
                kind="segmentation",
                label_names=["background", "lesion"],
            )
        )
        session.flush()
        session.add(version)
    return version


@pytest.fixture
def submit(worker_resources: Resources, dataset_version: DatasetVersion) -> Callable[..., Job]:
    """Submit a job of the tiny config with changes; `base` is the model it starts from."""

    def do(*, base: str | None = None, max_attempts: int = 3, **changes: Any) -> Job:
        same_kind = changes.get("kind", TINY["kind"]) == TINY["kind"]
        config = parse_run_config((TINY if same_kind else {}) | changes)
        new = NewJob(
            tenant_id="default",
            kind=config.kind,
            spec={
                "config": config.model_dump(mode="json"),
                "model": f"phantoms-{config.kind}",
                "init_from": base if config.kind == "finetune" else None,
                "model_version": base if config.kind == "evaluate" else None,
                "dataset_version": dataset_version.id,
                "dataset_digest": dataset_version.digest,
            },
            spec_sha256="sha256:1",
            dataset_version_id=dataset_version.id,
            base_model_version_id=base,
            max_attempts=max_attempts,
        )
        with worker_resources.database.write() as session:
            job, _ = lifecycle.submit(session, new)
        return job

    return do


@pytest.fixture
def claim(worker_resources: Resources) -> Callable[[], Fence]:
    """Claim the next job."""

    def do() -> Fence:
        with worker_resources.database.write() as session:
            job = lifecycle.claim(session, owner="test", lease_seconds=60)
        assert job is not None
        return Fence(job.id, job.epoch)

    return do


@pytest.fixture
def read_job(worker_resources: Resources) -> Callable[[str], Job]:
    """Return the job's row as it is now."""

    def do(job_id: str) -> Job:
        with worker_resources.database.read() as session:
            return session.get_one(Job, job_id)

    return do
