"""Routes of data sets and their files."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from service.auth.dependencies import Principal, require
from service.datasets import catalog
from service.datasets.ingest import ingest
from service.datasets.receive import Upload, receive_upload
from service.datasets.schemas import (
    DatasetRequest,
    DatasetView,
    FileView,
    UploadReport,
    file_views,
)
from service.datasets.tables import Dataset, DatasetFile
from service.dependencies import ResourcesDep
from service.errors import Conflict, NotFound, StorageExhausted
from service.pagination import Page, PageDep, fetch_page
from service.problems import PROBLEM_RESPONSES, problem_responses
from service.resources import Resources

router = APIRouter(prefix="/v1/datasets", tags=["data sets"], responses=PROBLEM_RESPONSES)

Reader = Annotated[Principal, require("datasets:read")]
Writer = Annotated[Principal, require("datasets:write")]
Deleter = Annotated[Principal, require("datasets:delete")]

MEDIA_TYPES = {".png": "image/png", ".gz": "application/gzip"}
BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": "The bytes"}
}
_BYTES = {"type": "string", "format": "binary"}
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "images": {"type": "array", "items": _BYTES, "description": "Pictures"},
                        "masks": {
                            "type": "array",
                            "items": _BYTES,
                            "description": "Label maps, each named like its image",
                        },
                        "manifest": _BYTES
                        | {"description": "CSV", "examples": ["stem,split,patient\na1,train,p1\n"]},
                        "archive": _BYTES | {"description": "A zip, instead of the others"},
                    },
                }
            },
            "application/zip": {"schema": _BYTES},
        },
    }
}


@router.post("", status_code=201, summary="Make a data set")
def post_dataset(body: DatasetRequest, resources: ResourcesDep, principal: Writer) -> DatasetView:
    """Return a new, empty data set, open for uploads."""
    with resources.database.write() as session:
        dataset = catalog.create_dataset(
            session,
            tenant_id=principal.tenant_id,
            name=body.name,
            kind=body.kind,
            modality=body.modality,
            label_names=body.label_names,
        )
        return DatasetView.of(dataset, {})


@router.get("", summary="List data sets")
def list_datasets(resources: ResourcesDep, principal: Reader, page: PageDep) -> Page[DatasetView]:
    """Return the tenant's data sets, newest first."""
    statement = select(Dataset).where(
        Dataset.tenant_id == principal.tenant_id, Dataset.deleted_at.is_(None)
    )
    with resources.database.read() as session:
        rows, cursor = fetch_page(session, statement, Dataset.id, page)
        counts = catalog.count_files(session, [row.id for row in rows])
    return Page(items=[DatasetView.of(row, counts) for row in rows], next_cursor=cursor)


@router.get("/{dataset_id}", summary="Look at a data set")
def get_dataset(dataset_id: str, resources: ResourcesDep, principal: Reader) -> DatasetView:
    """Return the data set with the numbers of its files."""
    with resources.database.read() as session:
        dataset = catalog.find_dataset(session, principal.tenant_id, dataset_id)
        return DatasetView.of(dataset, catalog.count_files(session, [dataset.id]))


@router.delete("/{dataset_id}", status_code=204, summary="Delete a data set for good")
def delete_dataset(dataset_id: str, resources: ResourcesDep, principal: Deleter) -> Response:
    """Delete all its images, masks and versions; jobs that have not read them yet will fail."""
    catalog.delete_dataset(resources, principal.tenant_id, dataset_id)
    return Response(status_code=204)


@router.post(
    "/{dataset_id}/files",
    status_code=201,
    summary="Upload images, masks, a manifest or a zip of them",
    responses=problem_responses(Conflict, StorageExhausted),
    openapi_extra=UPLOAD_BODY,
)
async def upload_files(
    dataset_id: str, request: Request, resources: ResourcesDep, principal: Writer
) -> UploadReport:
    """Take all files in or none.

    Multipart fields are `images` and `masks` (repeated), `manifest` (CSV with the columns stem,
    split, patient) and `archive`; or the body is a zip with `images/`, `masks/` and `manifest.csv`.
    An image and its mask have the same name without suffix. Files that are there already with the
    same content are counted as unchanged, so an upload may be repeated.
    """
    await run_in_threadpool(_require_dataset, resources, principal, dataset_id)
    resources.storage.require_space(int(request.headers.get("content-length", 0)))
    with _scratch_folder(resources) as folder:
        scratch = Path(folder)
        upload = await receive_upload(request, scratch, resources.settings)
        return await run_in_threadpool(
            _ingest, resources, principal.tenant_id, dataset_id, upload, scratch
        )


def _require_dataset(resources: Resources, principal: Principal, dataset_id: str) -> None:
    with resources.database.read() as session:
        catalog.find_dataset(session, principal.tenant_id, dataset_id)


def _scratch_folder(resources: Resources) -> "tempfile.TemporaryDirectory[str]":
    parent = resources.settings.data_dir / "scratch"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.TemporaryDirectory(dir=parent, prefix="upload-", ignore_cleanup_errors=True)


def _ingest(
    resources: Resources, tenant_id: str, dataset_id: str, upload: Upload, scratch: Path
) -> UploadReport:
    done = ingest(resources, tenant_id, dataset_id, upload, scratch)
    return UploadReport(
        added=len(done.added),
        unchanged=len(done.unchanged),
        warnings=done.warnings,
        files=file_views([*done.added, *done.unchanged]),
    )


@router.get("/{dataset_id}/files", summary="List the files of a data set")
def list_files(
    dataset_id: str, resources: ResourcesDep, principal: Reader, page: PageDep
) -> Page[FileView]:
    """Return images and masks, newest first."""
    with resources.database.read() as session:
        dataset = catalog.find_dataset(session, principal.tenant_id, dataset_id)
        statement = select(DatasetFile).where(DatasetFile.dataset_id == dataset.id)
        rows, cursor = fetch_page(session, statement, DatasetFile.id, page)
    return Page(items=file_views(list(rows)), next_cursor=cursor)


@router.get(
    "/{dataset_id}/files/{file_id}",
    summary="Download a file in canonical form",
    response_class=StreamingResponse,
    responses=BINARY,
)
def get_file(
    dataset_id: str, file_id: str, resources: ResourcesDep, principal: Reader
) -> StreamingResponse:
    """Return 8-bit pictures as PNG, everything else as NIfTI."""
    with resources.database.read() as session:
        file = catalog.find_file(session, principal.tenant_id, dataset_id, file_id)
    return stream_blob(resources, file.key, file.sha256)


@router.get(
    "/{dataset_id}/files/{file_id}/thumbnail",
    summary="Download a small PNG of an image",
    response_class=StreamingResponse,
    responses=BINARY,
)
def get_thumbnail(
    dataset_id: str, file_id: str, resources: ResourcesDep, principal: Reader
) -> StreamingResponse:
    """Return a PNG with sides of at most 256 pixels; masks have none."""
    with resources.database.read() as session:
        file = catalog.find_file(session, principal.tenant_id, dataset_id, file_id)
    if file.thumbnail_key is None:
        raise NotFound("masks have no thumbnail")
    return stream_blob(resources, file.thumbnail_key, f"{file.sha256}-thumbnail")


@router.delete("/{dataset_id}/files/{file_id}", status_code=204, summary="Remove a file")
def delete_file(
    dataset_id: str, file_id: str, resources: ResourcesDep, principal: Deleter
) -> Response:
    """Remove the file from the data set; frozen versions keep it."""
    catalog.delete_file(resources, principal.tenant_id, dataset_id, file_id)
    return Response(status_code=204)


def stream_blob(resources: Resources, key: str, tag: str) -> StreamingResponse:
    """Return an immutable blob as an attachment that no browser will run."""
    suffix = Path(key).suffix
    return StreamingResponse(
        resources.storage.stream(key),
        media_type=MEDIA_TYPES.get(suffix, "application/octet-stream"),
        headers={
            "ETag": f'"sha256:{tag}"',
            "Content-Length": str(resources.storage.size(key)),
            "Content-Disposition": f'attachment; filename="{Path(key).name}"',
            "Cache-Control": "private, max-age=31536000, immutable",
        },
    )
