"""Fixtures of the job tests: a data set version in the database, and jobs on it."""

from collections.abc import Callable
from typing import Any

import pytest

from service.datasets.tables import Dataset, DatasetVersion
from service.jobs import lifecycle
from service.jobs.lifecycle import NewJob
from service.jobs.tables import Job
from service.models.tables import ModelVersion
from service.resources import Resources

SUMMARY: dict[str, Any] = {
    "cases": 20,
    "labelled": 20,
    "slices": 20,
    "channels": 3,
    "label_names": ["background", "lesion"],
    "splits": {"train": 14, "validation": 2, "test": 4},
    "labelled_splits": {"train": 14, "validation": 2, "test": 4},
    "lesion_cases": 20,
    "patients": 20,
}
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def add_version() -> Callable[..., str]:
    """Insert a data set with one version; return the version's id."""

    def add(resources: Resources, *, name: str = "Skin 2026", **summary: Any) -> str:
        suffix = name.lower().replace(" ", "")
        with resources.database.write() as session:
            session.add(
                Dataset(
                    id=f"ds_{suffix}",
                    tenant_id="default",
                    name=name,
                    kind="segmentation",
                    label_names=["background", "lesion"],
                )
            )
            session.flush()
            session.add(
                DatasetVersion(
                    id=f"dsv_{suffix}",
                    dataset_id=f"ds_{suffix}",
                    tenant_id="default",
                    number=1,
                    digest=DIGEST,
                    manifest_key="nowhere",
                    summary=SUMMARY | summary,
                    validation=[],
                )
            )
        return f"dsv_{suffix}"

    return add


@pytest.fixture
def add_model() -> Callable[..., str]:
    """Insert a model version; return its id."""

    def add(
        resources: Resources, *, name: str = "skin-pretrain", kind: str = "pretrained", **shape: Any
    ) -> str:
        architecture = {"channels": 3, "patch_size": 16, "label_names": ["background", "lesion"]}
        with resources.database.write() as session:
            session.add(
                ModelVersion(
                    id=f"mdl_{name}",
                    tenant_id="default",
                    name=name,
                    number=1,
                    kind=kind,
                    key=f"models/{name}",
                    sha256="b" * 64,
                    card={"architecture": architecture | shape},
                    metrics={},
                )
            )
        return f"mdl_{name}"

    return add


@pytest.fixture
def submit(add_version: Callable[..., str]) -> Callable[..., Job]:
    """Submit a job on a data set version that is made once."""
    made: list[str] = []

    def do(resources: Resources, **given: Any) -> Job:
        if not made:
            made.append(add_version(resources))
        values: dict[str, Any] = {
            "tenant_id": "default",
            "kind": "pretrain",
            "spec": {
                "config": {"split": "test"},
                "model": "skin-pretrain",
                "init_from": None,
                "model_version": None,
                "dataset_version": made[0],
                "dataset_digest": DIGEST,
            },
            "spec_sha256": "sha256:1",
            "dataset_version_id": made[0],
            "base_model_version_id": None,
            "max_attempts": 3,
        }
        with resources.database.write() as session:
            job, _ = lifecycle.submit(session, NewJob(**(values | given)))
        return job

    return do
