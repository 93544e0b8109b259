"""Routes of trained networks and their aliases."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.auth.dependencies import Principal, require
from service.dependencies import ResourcesDep
from service.errors import NotFound, PreconditionFailed, PreconditionRequired
from service.models import aliases, registry
from service.models.schemas import AliasPointer, AliasView, CardView, ModelView, VersionView
from service.models.tables import ModelAlias, ModelVersion
from service.pagination import Page, PageDep, fetch_page
from service.problems import PROBLEM_RESPONSES, problem_responses

router = APIRouter(prefix="/v1/models", tags=["models"], responses=PROBLEM_RESPONSES)

WEIGHTS_FILE = "weights.safetensors"

Reader = Annotated[Principal, require("models:read")]
Promoter = Annotated[Principal, require("models:promote")]
NamePath = Annotated[str, Path(pattern=registry.NAME_PATTERN, description="Name of a model")]
NumberPath = Annotated[int, Path(ge=1, lt=2**31, description="Number of a version")]
AliasPath = Annotated[str, Path(pattern=aliases.ALIAS_PATTERN, description="An alias")]
IfMatch = Annotated[
    str | None, Header(max_length=200, description="ETag of the alias as you read it")
]


@router.get("", summary="List models")
def list_models(resources: ResourcesDep, principal: Reader, page: PageDep) -> Page[ModelView]:
    """Return every name with its newest version and its aliases, by name."""
    with resources.database.read() as session:
        other = aliased(ModelVersion)
        newest = (
            select(func.max(other.number))
            .where(other.tenant_id == ModelVersion.tenant_id, other.name == ModelVersion.name)
            .scalar_subquery()
        )
        statement = select(ModelVersion).where(
            ModelVersion.tenant_id == principal.tenant_id, ModelVersion.number == newest
        )
        rows, cursor = fetch_page(session, statement, ModelVersion.name, page, descending=False)
        items = [_model_view(session, version) for version in rows]
    return Page[ModelView](items=items, next_cursor=cursor)


@router.get("/{name}/versions", summary="List the versions of a model")
def list_versions(
    name: NamePath, resources: ResourcesDep, principal: Reader, page: PageDep
) -> Page[VersionView]:
    """Return the versions of a name, newest first."""
    with resources.database.read() as session:
        registry.resolve(session, principal.tenant_id, name)
        statement = select(ModelVersion).where(
            ModelVersion.tenant_id == principal.tenant_id, ModelVersion.name == name
        )
        rows, cursor = fetch_page(session, statement, ModelVersion.id, page)
    return Page[VersionView](items=[VersionView.of(row) for row in rows], next_cursor=cursor)


@router.get("/{name}/versions/{number}", summary="Read a version")
def read_version(
    name: NamePath, number: NumberPath, resources: ResourcesDep, principal: Reader
) -> VersionView:
    """Return one version with its metrics and lineage."""
    with resources.database.read() as session:
        return VersionView.of(registry.find_version(session, principal.tenant_id, name, number))


@router.get("/{name}/versions/{number}/card", summary="Read a version's card")
def read_card(
    name: NamePath, number: NumberPath, resources: ResourcesDep, principal: Reader
) -> CardView:
    """Return what the checkpoint says of itself: architecture, config, versions, seed."""
    with resources.database.read() as session:
        version = registry.find_version(session, principal.tenant_id, name, number)
    return CardView.model_validate(version)


@router.get(
    "/{name}/versions/{number}/weights",
    summary="Download a version's weights",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A safetensors file",
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
def download_weights(
    name: NamePath, number: NumberPath, resources: ResourcesDep, principal: Reader
) -> StreamingResponse:
    """Stream the weights as a safetensors file."""
    with resources.database.read() as session:
        version = registry.find_version(session, principal.tenant_id, name, number)
    key = f"{version.key}/{WEIGHTS_FILE}"
    return StreamingResponse(
        resources.storage.stream(key),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(resources.storage.size(key)),
            "Content-Disposition": f'attachment; filename="{name}-{number}.safetensors"',
            "ETag": f'"sha256:{version.sha256}"',
        },
    )


@router.get("/{name}/aliases", summary="List the aliases of a model")
def list_aliases(name: NamePath, resources: ResourcesDep, principal: Reader) -> list[AliasView]:
    """Return all aliases of a name with the versions they point at."""
    with resources.database.read() as session:
        registry.resolve(session, principal.tenant_id, name)
        return [
            _alias_view(session, alias)
            for alias in aliases.list_aliases(session, principal.tenant_id, name)
        ]


@router.get("/{name}/aliases/{alias}", summary="Read an alias")
def read_alias(
    name: NamePath, alias: AliasPath, resources: ResourcesDep, principal: Reader, response: Response
) -> AliasView:
    """Return where an alias points; its ETag is needed to move it."""
    with resources.database.read() as session:
        found = aliases.find_alias(session, principal.tenant_id, name, alias)
        response.headers["ETag"] = f'"{found.etag}"'
        return _alias_view(session, found)


@router.put(
    "/{name}/aliases/{alias}",
    summary="Set or move an alias",
    responses=problem_responses(PreconditionFailed, PreconditionRequired),
)
def put_alias(  # noqa: PLR0913, PLR0917  (each is a part of the request)
    name: NamePath,
    alias: AliasPath,
    pointer: AliasPointer,
    resources: ResourcesDep,
    principal: Promoter,
    response: Response,
    if_match: IfMatch = None,
) -> AliasView:
    """Point an alias at a version: how a model is promoted, and rolled back.

    An alias that exists is only moved with its ETag in If-Match.
    """
    with resources.database.write() as session:
        moved = aliases.point_alias(
            session,
            principal.tenant_id,
            name,
            alias,
            number=pointer.version,
            if_match=if_match,
        )
        response.headers["ETag"] = f'"{moved.etag}"'
        return _alias_view(session, moved)


@router.delete(
    "/{name}/aliases/{alias}",
    summary="Remove an alias",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(PreconditionFailed, PreconditionRequired),
)
def delete_alias(
    name: NamePath,
    alias: AliasPath,
    resources: ResourcesDep,
    principal: Promoter,
    if_match: IfMatch = None,
) -> None:
    """Remove an alias; the version it pointed at stays."""
    with resources.database.write() as session:
        aliases.remove_alias(session, principal.tenant_id, name, alias, if_match=if_match)


def _model_view(session: Session, newest: ModelVersion) -> ModelView:
    pointers = session.execute(
        select(ModelAlias.alias, ModelVersion.number)
        .join(ModelVersion, ModelVersion.id == ModelAlias.version_id)
        .where(ModelAlias.tenant_id == newest.tenant_id, ModelAlias.name == newest.name)
    )
    return ModelView(
        name=newest.name,
        newest=VersionView.of(newest),
        aliases={row.alias: row.number for row in pointers},
    )


def _alias_view(session: Session, alias: ModelAlias) -> AliasView:
    version = session.get(ModelVersion, alias.version_id)
    if version is None:
        raise NotFound(f"alias {alias.alias} points at a version that is gone")
    return AliasView.of(alias, version)
