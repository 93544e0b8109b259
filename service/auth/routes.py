"""Routes that manage API keys; only for keys with the scope `admin`."""

from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import func, select, update

from service.auth.dependencies import Principal, require
from service.auth.keys import create_key
from service.auth.schemas import KeyRequest, KeyView, NewKeyView
from service.auth.tables import ApiKey
from service.database import db_now
from service.dependencies import ResourcesDep
from service.errors import NotFound
from service.pagination import Page, PageDep, fetch_page
from service.problems import PROBLEM_RESPONSES

router = APIRouter(prefix="/v1/api-keys", tags=["keys"], responses=PROBLEM_RESPONSES)

Admin = Annotated[Principal, require("admin")]


@router.post("", status_code=201, summary="Make a key")
def post_key(body: KeyRequest, resources: ResourcesDep, _: Admin) -> NewKeyView:
    """Return the new key with its secret, which is shown this once only."""
    with resources.database.write() as session:
        row, secret = create_key(
            session,
            name=body.name,
            scopes=body.scopes,
            tenant_id=body.tenant_id,
            expires_at=body.expires_at.timestamp() if body.expires_at else None,
        )
        view = KeyView.model_validate(row)
    return NewKeyView(**view.model_dump(), secret=secret)


@router.get("", summary="List keys")
def list_keys(resources: ResourcesDep, _: Admin, page: PageDep) -> Page[KeyView]:
    """Return all keys, newest first, revoked ones too."""
    with resources.database.read() as session:
        rows, cursor = fetch_page(session, select(ApiKey), ApiKey.id, page)
    return Page(items=[KeyView.model_validate(row) for row in rows], next_cursor=cursor)


@router.delete("/{key_id}", status_code=204, summary="Revoke a key")
def revoke_key(key_id: str, resources: ResourcesDep, _: Admin) -> Response:
    """Make the key useless from the next request on; doing it twice changes nothing."""
    with resources.database.write() as session:
        revoked = session.scalar(
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(revoked_at=func.coalesce(ApiKey.revoked_at, db_now()))
            .returning(ApiKey.id)
        )
    if revoked is None:
        raise NotFound("no such API key")
    return Response(status_code=204)
