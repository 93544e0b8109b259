"""Frozen versions of data sets: found by their own id, or by their set's as the newest one."""

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from amlp.manifest import Manifest
from service.datasets.catalog import find_dataset
from service.datasets.tables import Dataset, DatasetVersion
from service.errors import Conflict, NotFound
from service.storage import Storage


def find_version(session: Session, tenant_id: str, reference: str) -> DatasetVersion:
    """Return the version `dsv_...`, or the newest version of the data set `ds_...`.

    Raises:
        NotFound: no such version or data set, or another tenant's.
        Conflict: the data set has no version yet.
    """
    if reference.startswith("ds_"):
        return _newest_version(session, find_dataset(session, tenant_id, reference))
    version = session.scalar(
        select(DatasetVersion)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(
            DatasetVersion.id == reference,
            DatasetVersion.tenant_id == tenant_id,
            Dataset.deleted_at.is_(None),
        )
    )
    if version is None:
        raise NotFound("no such data set version")
    return version


def find_numbered_version(
    session: Session, tenant_id: str, dataset_id: str, number: int
) -> DatasetVersion:
    """Return version `number` of the data set.

    Raises:
        NotFound: no such version or data set, or another tenant's.
    """
    dataset = find_dataset(session, tenant_id, dataset_id)
    version = session.scalar(
        select(DatasetVersion).where(
            DatasetVersion.dataset_id == dataset.id, DatasetVersion.number == number
        )
    )
    if version is None:
        raise NotFound(f"the data set has no version {number}")
    return version


def load_manifest(storage: Storage, version: DatasetVersion) -> Manifest:
    """Return the manifest of a version.

    Raises:
        Conflict: what is stored is not what was frozen.
    """
    try:
        manifest = Manifest.model_validate_json(storage.get_bytes(version.manifest_key))
    except ValidationError as error:
        raise Conflict("the stored manifest is damaged", code="dataset-changed") from error
    if manifest.digest != version.digest:
        raise Conflict("the stored manifest is not the frozen one", code="dataset-changed")
    return manifest


def _newest_version(session: Session, dataset: Dataset) -> DatasetVersion:
    version = session.scalar(
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == dataset.id)
        .order_by(DatasetVersion.number.desc())
        .limit(1)
    )
    if version is None:
        raise Conflict(
            f"data set {dataset.id} has no frozen version yet; POST to its /versions first"
        )
    return version
