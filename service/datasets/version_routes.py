"""Routes of frozen versions and what they hold."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from amlp.manifest import Case, Manifest
from service.datasets import catalog
from service.datasets.freeze import SplitRule, freeze
from service.datasets.routes import BINARY, Reader, Writer, stream_blob
from service.datasets.schemas import (
    ContentView,
    Finding,
    ItemView,
    ValidationReport,
    VersionRequest,
    VersionView,
)
from service.datasets.tables import DatasetVersion
from service.datasets.versions import find_numbered_version, load_manifest
from service.dependencies import ResourcesDep
from service.errors import NotFound, StorageExhausted
from service.pagination import Page, PageDep, encode_cursor, fetch_page
from service.problems import PROBLEM_RESPONSES, problem_responses

router = APIRouter(
    prefix="/v1/datasets/{dataset_id}", tags=["data set versions"], responses=PROBLEM_RESPONSES
)

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="From 1")]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@router.post(
    "/versions",
    status_code=201,
    summary="Freeze the data set's present content",
    responses={
        **problem_responses(StorageExhausted),
        200: {"model": VersionView, "description": "The same content was frozen before"},
    },
)
def post_version(
    dataset_id: str,
    body: VersionRequest,
    resources: ResourcesDep,
    principal: Writer,
    response: Response,
) -> VersionView:
    """Return an immutable version; jobs run on versions only.

    The same content and splits again give the version that exists, with 200.
    """
    shares = body.split_fractions
    version, is_new = freeze(
        resources,
        principal.tenant_id,
        dataset_id,
        rule=SplitRule((shares[0], shares[1], shares[2]) if shares else None, body.seed),
        note=body.note,
    )
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{dataset_id}/versions/{version.number}"
    return VersionView.of(version)


@router.get("/versions", summary="List the versions of a data set")
def list_versions(
    dataset_id: str, resources: ResourcesDep, principal: Reader, page: PageDep
) -> Page[VersionView]:
    """Return its versions, newest first."""
    with resources.database.read() as session:
        dataset = catalog.find_dataset(session, principal.tenant_id, dataset_id)
        statement = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
        rows, cursor = fetch_page(session, statement, DatasetVersion.id, page)
    return Page(items=[VersionView.of(row) for row in rows], next_cursor=cursor)


@router.get("/versions/{number}", summary="Look at a version")
def get_version(
    dataset_id: str, number: Number, resources: ResourcesDep, principal: Reader
) -> VersionView:
    """Return its digest and what it holds."""
    with resources.database.read() as session:
        return VersionView.of(
            find_numbered_version(session, principal.tenant_id, dataset_id, number)
        )


@router.get("/versions/{number}/validation", summary="Read what was found in a version")
def get_validation(
    dataset_id: str, number: Number, resources: ResourcesDep, principal: Reader
) -> ValidationReport:
    """Return warnings such as duplicates across splits, or masks that are all empty."""
    with resources.database.read() as session:
        version = find_numbered_version(session, principal.tenant_id, dataset_id, number)
    return ValidationReport(findings=[Finding.model_validate(one) for one in version.validation])


@router.get("/versions/{number}/manifest", summary="Download a version's manifest")
def get_manifest(
    dataset_id: str, number: Number, resources: ResourcesDep, principal: Reader
) -> Manifest:
    """Return all its cases with the digests of their files."""
    with resources.database.read() as session:
        version = find_numbered_version(session, principal.tenant_id, dataset_id, number)
    return load_manifest(resources.storage, version)


@router.get("/versions/{number}/items", summary="List the cases of a version")
def list_items(
    dataset_id: str, number: Number, resources: ResourcesDep, principal: Reader, page: PageDep
) -> Page[ItemView]:
    """Return cases by name, each with where its image and mask are."""
    with resources.database.read() as session:
        version = find_numbered_version(session, principal.tenant_id, dataset_id, number)
    cases = sorted(load_manifest(resources.storage, version).cases, key=lambda case: case.case_id)
    after = page.key()
    left = [case for case in cases if after is None or case.case_id > after]
    shown = left[: page.limit]
    cursor = encode_cursor(shown[-1].case_id) if len(left) > page.limit else None
    return Page(items=[_item(dataset_id, case) for case in shown], next_cursor=cursor)


@router.get(
    "/content/{sha256}",
    summary="Download an image or mask of a version",
    response_class=StreamingResponse,
    responses=BINARY,
)
def get_content(
    dataset_id: str, sha256: str, resources: ResourcesDep, principal: Reader
) -> StreamingResponse:
    """Return the canonical file with this digest."""
    return _content(resources, principal.tenant_id, dataset_id, sha256, "files")


@router.get(
    "/content/{sha256}/thumbnail",
    summary="Download a small PNG of a version's image",
    response_class=StreamingResponse,
    responses=BINARY,
)
def get_content_thumbnail(
    dataset_id: str, sha256: str, resources: ResourcesDep, principal: Reader
) -> StreamingResponse:
    """Return the thumbnail of the image with this digest."""
    return _content(resources, principal.tenant_id, dataset_id, sha256, "thumbnails")


def _content(
    resources: ResourcesDep, tenant_id: str, dataset_id: str, sha256: str, folder: str
) -> StreamingResponse:
    with resources.database.read() as session:
        dataset = catalog.find_dataset(session, tenant_id, dataset_id)
    if not _SHA256.fullmatch(sha256):
        raise NotFound("no such content")
    for suffix in (".png", ".nii.gz"):
        key = f"datasets/{dataset.id}/{folder}/{sha256}{suffix}"
        if resources.storage.exists(key):
            return stream_blob(resources, key, f"{sha256}-{folder}")
    raise NotFound("no such content")


def _item(dataset_id: str, case: Case) -> ItemView:
    return ItemView(
        case_id=case.case_id,
        split=case.split,
        num_slices=case.num_slices,
        height=case.height,
        width=case.width,
        labels=list(case.labels),
        image=_content_view(dataset_id, case.image_sha256, has_thumbnail=True),
        mask=_content_view(dataset_id, case.mask_sha256) if case.mask_sha256 else None,
    )


def _content_view(dataset_id: str, sha256: str, *, has_thumbnail: bool = False) -> ContentView:
    url = f"/v1/datasets/{dataset_id}/content/{sha256}"
    return ContentView(
        sha256=sha256, url=url, thumbnail_url=f"{url}/thumbnail" if has_thumbnail else None
    )
