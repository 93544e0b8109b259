"""The data sets of a tenant: made, found, deleted; their files found and removed."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from service.database import db_now, new_id
from service.datasets.tables import Dataset, DatasetFile, DatasetVersion
from service.errors import NotFound
from service.resources import Resources


def file_key(dataset_id: str, sha256: str, suffix: str) -> str:
    """Return where a canonical file lies in storage; equal content is stored once."""
    return f"datasets/{dataset_id}/files/{sha256}{suffix}"


def thumbnail_key(dataset_id: str, sha256: str) -> str:
    """Return where the thumbnail of the canonical file with this digest lies."""
    return f"datasets/{dataset_id}/thumbnails/{sha256}.png"


def create_dataset(
    session: Session,
    *,
    tenant_id: str,
    name: str,
    kind: str,
    modality: str | None,
    label_names: Sequence[str],
) -> Dataset:
    """Return a new, empty data set."""
    dataset = Dataset(
        id=new_id("ds"),
        tenant_id=tenant_id,
        name=name,
        kind=kind,
        modality=modality,
        label_names=list(label_names),
    )
    session.add(dataset)
    session.flush()
    return dataset


def find_dataset(session: Session, tenant_id: str, dataset_id: str) -> Dataset:
    """Return the data set.

    Raises:
        NotFound: there is none, it is deleted, or it is another tenant's.
    """
    return _existing(session.scalar(_selection(tenant_id, dataset_id)))


def lock_dataset(session: Session, tenant_id: str, dataset_id: str) -> Dataset:
    """Return the data set and let no other transaction change it before this one ends.

    Raises:
        NotFound: as `find_dataset`.
    """
    return _existing(session.scalar(_selection(tenant_id, dataset_id).with_for_update()))


def _selection(tenant_id: str, dataset_id: str) -> Select[Dataset]:
    return select(Dataset).where(
        Dataset.id == dataset_id, Dataset.tenant_id == tenant_id, Dataset.deleted_at.is_(None)
    )


def _existing(dataset: Dataset | None) -> Dataset:
    if dataset is None:
        raise NotFound("no such data set")
    return dataset


def count_files(session: Session, dataset_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the number of files of each data set and role."""
    counts = session.execute(
        select(DatasetFile.dataset_id, DatasetFile.role, func.count())
        .where(DatasetFile.dataset_id.in_(dataset_ids))
        .group_by(DatasetFile.dataset_id, DatasetFile.role)
    )
    return {(dataset_id, role): count for dataset_id, role, count in counts}


def find_file(session: Session, tenant_id: str, dataset_id: str, file_id: str) -> DatasetFile:
    """Return a file of a data set.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    dataset = find_dataset(session, tenant_id, dataset_id)
    file = session.get(DatasetFile, file_id)
    if file is None or file.dataset_id != dataset.id:
        raise NotFound("no such file in this data set")
    return file


def delete_file(resources: Resources, tenant_id: str, dataset_id: str, file_id: str) -> None:
    """Remove a file from the data set; frozen versions keep what they hold."""
    with resources.database.write() as session:
        file = find_file(session, tenant_id, dataset_id, file_id)
        session.delete(file)
        session.flush()
        is_needed = session.scalar(
            select(DatasetFile.id).where(DatasetFile.key == file.key).limit(1)
        ) or session.scalar(
            select(DatasetVersion.id).where(DatasetVersion.dataset_id == dataset_id).limit(1)
        )
    if not is_needed:
        resources.storage.delete([key for key in (file.key, file.thumbnail_key) if key])


def delete_dataset(resources: Resources, tenant_id: str, dataset_id: str) -> None:
    """Delete all images, masks and manifests of a data set for good.

    The rows of the set and its versions stay, so that models keep their lineage; no image does.
    """
    with resources.database.write() as session:
        dataset = lock_dataset(session, tenant_id, dataset_id)
        session.execute(delete(DatasetFile).where(DatasetFile.dataset_id == dataset.id))
        session.execute(update(Dataset).where(Dataset.id == dataset.id).values(deleted_at=db_now()))
    resources.storage.delete(resources.storage.keys(f"datasets/{dataset_id}"))
