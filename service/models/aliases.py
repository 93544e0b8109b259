"""Aliases: movable names for versions, such as `champion`; moving one needs its current ETag."""

import secrets

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.database import db_now
from service.errors import NotFound, PreconditionFailed, PreconditionRequired
from service.models.registry import find_version
from service.models.tables import ModelAlias

ALIAS_PATTERN = r"^[a-z][a-z0-9._-]{0,49}$"  # begins with a letter: `name@3` is a number


def list_aliases(session: Session, tenant_id: str, name: str) -> list[ModelAlias]:
    """Return the aliases of a name, sorted."""
    statement = select(ModelAlias).where(ModelAlias.tenant_id == tenant_id, ModelAlias.name == name)
    return list(session.scalars(statement.order_by(ModelAlias.alias)))


def find_alias(session: Session, tenant_id: str, name: str, alias: str) -> ModelAlias:
    """Return an alias.

    Raises:
        NotFound: there is none.
    """
    found = _locked(session, tenant_id, name, alias)
    if found is None:
        raise NotFound(f"{name} has no alias {alias}")
    return found


def point_alias(
    session: Session, tenant_id: str, name: str, alias: str, *, number: int, if_match: str | None
) -> ModelAlias:
    """Make an alias point at a version, or move it there.

    Raises:
        NotFound: no such version.
        PreconditionRequired: the alias exists and `if_match` is not given.
        PreconditionFailed: the alias was moved since, or is gone.
    """
    version = find_version(session, tenant_id, name, number)
    found = _locked(session, tenant_id, name, alias)
    if found is None:
        if if_match is not None:
            raise PreconditionFailed(f"{name} has no alias {alias}; it was removed meanwhile")
        return _create(session, ModelAlias(tenant_id=tenant_id, name=name, alias=alias), version.id)
    _require_match(found, if_match)
    found.version_id, found.etag = version.id, _new_etag()
    session.flush()
    return _touched(session, found)


def remove_alias(
    session: Session, tenant_id: str, name: str, alias: str, *, if_match: str | None
) -> None:
    """Remove an alias; its version stays.

    Raises:
        NotFound: there is none.
        PreconditionRequired: `if_match` is not given.
        PreconditionFailed: the alias was moved since.
    """
    found = find_alias(session, tenant_id, name, alias)
    _require_match(found, if_match)
    session.delete(found)
    session.flush()


def _create(session: Session, alias: ModelAlias, version_id: str) -> ModelAlias:
    alias.version_id, alias.etag = version_id, _new_etag()
    try:
        with session.begin_nested():
            session.add(alias)
            session.flush()
    except IntegrityError as error:
        raise PreconditionFailed(f"alias {alias.alias} was set meanwhile; read it again") from error
    session.refresh(alias)
    return alias


def _locked(session: Session, tenant_id: str, name: str, alias: str) -> ModelAlias | None:
    return session.scalar(
        select(ModelAlias)
        .where(
            ModelAlias.tenant_id == tenant_id, ModelAlias.name == name, ModelAlias.alias == alias
        )
        .with_for_update()
    )


def _require_match(alias: ModelAlias, if_match: str | None) -> None:
    if if_match is None:
        raise PreconditionRequired(
            f"alias {alias.alias} exists; send the ETag you read in If-Match to move it"
        )
    if if_match.strip() not in {"*", f'"{alias.etag}"'}:
        raise PreconditionFailed(f"alias {alias.alias} was moved since you read it; read it again")


def _touched(session: Session, alias: ModelAlias) -> ModelAlias:
    alias.updated_at = session.scalar(select(db_now())) or alias.updated_at
    session.flush()
    return alias


def _new_etag() -> str:
    return secrets.token_hex(8)
