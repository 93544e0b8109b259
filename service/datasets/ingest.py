"""Takes an upload into a data set: every file decoded in a limited process, all or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from amlp.errors import DataError, GeometryMismatch
from amlp.imageio.canonicalise import CanonicaliseResult, check_same_grid
from amlp.imageio.pairing import ManifestRow, parse_manifest_csv
from service.database import new_id
from service.datasets.blobs import stored
from service.datasets.catalog import file_key, find_dataset, lock_dataset, thumbnail_key
from service.datasets.decode import FileKey, Incoming, checked_stems, decode, warnings_of
from service.datasets.receive import Upload
from service.datasets.refusal import Refusals
from service.datasets.tables import Dataset, DatasetFile
from service.errors import Conflict, ServiceError, Unprocessable
from service.metrics import UPLOADED_FILES
from service.problems import as_service_error
from service.resources import Resources
from service.validation import joined, printable


@dataclass
class Ingested:
    """What an upload changed."""

    added: list[DatasetFile] = field(default_factory=list)
    unchanged: list[DatasetFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def ingest(
    resources: Resources, tenant_id: str, dataset_id: str, upload: Upload, scratch: Path
) -> Ingested:
    """Add the files of `upload` to the data set; a single fault and nothing is stored.

    Args:
        resources: where rows and files go.
        tenant_id: owner of the data set.
        dataset_id: the data set.
        upload: what was received.
        scratch: existing folder for canonical files; its owner removes it.

    Raises:
        NotFound: no such data set.
        ServiceError: why the upload was refused, with one fault for each file.
    """
    if not upload.files and upload.manifest is None:
        raise Unprocessable("the upload holds no images", code="empty-dataset")
    with resources.database.read() as session:
        dataset = find_dataset(session, tenant_id, dataset_id)
    _refuse_masks_of_unlabelled(dataset, upload)
    stems = checked_stems(upload.files)
    rows = _manifest_rows(upload)
    incoming = decode(resources.settings, upload.files, stems, dataset, scratch)
    with resources.database.read() as session:
        _plan(session, dataset, incoming, rows)  # most faults are found before anything is stored
    with (
        stored(resources, dataset, _blobs(dataset, incoming)),
        resources.database.write() as session,
    ):
        lock_dataset(session, tenant_id, dataset_id)
        planned, images = _plan(session, dataset, incoming, rows)
        session.add_all(planned.added)
        _describe(images, rows)
    UPLOADED_FILES.inc(len(planned.added))
    planned.warnings = [*upload.warnings, *warnings_of(incoming)]
    return planned


def _refuse_masks_of_unlabelled(dataset: Dataset, upload: Upload) -> None:
    if dataset.kind == "segmentation":
        return
    refusals = Refusals(len(upload.files))
    for one in upload.files:
        if one.role == "mask":
            detail = f"mask in a data set of kind {dataset.kind}, expected kind segmentation"
            refusals.add(one, Unprocessable(detail, code="unexpected-mask"))
    refusals.raise_if_any()


def _manifest_rows(upload: Upload) -> dict[str, ManifestRow]:
    if upload.manifest is None:
        return {}
    try:
        rows = parse_manifest_csv(upload.manifest)
    except DataError as error:
        raise Unprocessable(printable(str(error), 300)) from error
    described: dict[str, ManifestRow] = {}
    for row in rows:
        if described.setdefault(row.stem, row) != row:
            raise Unprocessable(
                f"manifest.csv describes '{printable(row.stem)}' twice and differently",
                code="split-leak",
            )
    return described


def _plan(
    session: Session,
    dataset: Dataset,
    incoming: Sequence[Incoming],
    rows: Mapping[str, ManifestRow],
) -> tuple[Ingested, dict[str, DatasetFile]]:
    """Return what the upload changes, and all images by stem, checked against what is there."""
    existing = {
        (file.role, file.stem): file
        for file in session.scalars(select(DatasetFile).where(DatasetFile.dataset_id == dataset.id))
    }
    refusals = Refusals(len(incoming))
    planned = Ingested()
    image_stems = {stem for role, stem in existing if role == "image"}
    image_stems |= {one.stem for one in incoming if one.received.role == "image"}
    grids = {one.key: one.result for one in incoming}
    for one in incoming:
        present = existing.get(one.key)
        if present is None:
            planned.added.append(_row(dataset, one))
        elif present.sha256 == one.result.sha256:
            planned.unchanged.append(present)
        else:
            detail = "another file of this name is in the data set; delete that one first"
            refusals.add(one.received, Conflict(detail))
        if one.received.role == "mask" and one.stem not in image_stems:
            detail = "mask without an image of the same name, in the upload or in the data set"
            refusals.add(one.received, Unprocessable(detail, code="orphan-mask"))
        elif error := _pair_error(one, grids, existing):
            refusals.add(one.received, error)
    refusals.raise_if_any()
    images = {stem: file for (role, stem), file in existing.items() if role == "image"}
    images |= {file.stem: file for file in planned.added if file.role == "image"}
    _refuse_unknown(rows, images)
    return planned, images


def _pair_error(
    one: Incoming,
    grids: Mapping[FileKey, CanonicaliseResult],
    existing: Mapping[FileKey, DatasetFile],
) -> ServiceError | None:
    """Return how the grids of a mask and its image differ; told with the mask if both are new."""
    role, stem = one.key
    other_key = ("image" if role == "mask" else "mask", stem)
    if role == "image" and other_key in grids:
        return None
    other = grids.get(other_key)
    if other is None and other_key in existing:
        other = _canonical_form(existing[other_key])
    if other is None:
        return None
    image, mask = (other, one.result) if role == "mask" else (one.result, other)
    try:
        check_same_grid(image, mask)
    except GeometryMismatch as error:
        return as_service_error(error)
    return None


def _refuse_unknown(rows: Mapping[str, ManifestRow], images: Mapping[str, DatasetFile]) -> None:
    unknown = [stem for stem in rows if stem not in images]
    if unknown:
        raise Unprocessable(
            f"manifest.csv names {len(unknown)} images that are neither in the upload nor in the "
            f"data set: {joined(map(printable, unknown))}"
        )


def _describe(images: Mapping[str, DatasetFile], rows: Mapping[str, ManifestRow]) -> None:
    for stem, row in rows.items():
        image = images[stem]
        image.split = row.split or image.split
        image.patient = row.group or image.patient


def _row(dataset: Dataset, one: Incoming) -> DatasetFile:
    result = one.result
    return DatasetFile(
        id=new_id("file"),
        dataset_id=dataset.id,
        role=one.received.role,
        stem=one.stem,
        key=file_key(dataset.id, result.sha256, one.suffix),
        sha256=result.sha256,
        num_bytes=(one.folder / result.file).stat().st_size,
        channels=result.channels,
        is_grey=result.is_grey,
        num_slices=result.num_slices,
        height=result.height,
        width=result.width,
        spacing_mm=list(result.spacing_mm) if result.spacing_mm else None,
        affine=[list(row) for row in result.affine] if result.affine else None,
        labels=list(result.labels),
        patient=result.patient,
        thumbnail_key=thumbnail_key(dataset.id, result.sha256) if result.thumbnail else None,
        warnings=list(result.warnings),
    )


def _canonical_form(file: DatasetFile) -> CanonicaliseResult:
    spacing = file.spacing_mm
    return CanonicaliseResult(
        file=file.key,
        thumbnail=None,
        sha256=file.sha256,
        channels=file.channels,
        is_grey=file.is_grey,
        num_slices=file.num_slices,
        height=file.height,
        width=file.width,
        spacing_mm=(spacing[0], spacing[1], spacing[2]) if spacing else None,
        affine=tuple(map(tuple, file.affine)) if file.affine else None,
        patient=file.patient,
        modality=None,
        labels=tuple(file.labels),
        warnings=tuple(file.warnings),
    )


def _blobs(dataset: Dataset, incoming: Sequence[Incoming]) -> dict[str, Path]:
    """Return what belongs into storage, by key."""
    blobs = {}
    for one in incoming:
        result = one.result
        key = file_key(dataset.id, result.sha256, one.suffix)
        blobs[key] = one.folder / result.file
        if result.thumbnail:
            blobs[thumbnail_key(dataset.id, result.sha256)] = one.folder / result.thumbnail
    return blobs
