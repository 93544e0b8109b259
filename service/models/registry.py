"""Versions of trained networks: numbered per name, never changed, found by reference.

A reference is `name` (its champion, else its newest version), `name@3`, `name@alias` or an id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.database import new_id
from service.errors import Conflict, NotFound
from service.models.tables import ModelAlias, ModelVersion

CHAMPION = "champion"
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}$"  # lower case, so that no name looks like an id
REFERENCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9][A-Za-z0-9._-]{0,49})?$"

_ID_PREFIX = "mdl_"
_MAX_NUMBER = 2**31 - 1
_NUMBERING_ATTEMPTS = 10


@dataclass(frozen=True)
class NewVersion:
    """A trained network to register; `parent_id` is the version its encoder came from."""

    tenant_id: str
    name: str
    kind: str
    key: str
    sha256: str
    card: Mapping[str, Any]
    metrics: Mapping[str, Any]
    job_id: str
    dataset_version_id: str
    dataset_digest: str
    parent_id: str | None


def register(session: Session, new: NewVersion) -> ModelVersion:
    """Add the next version of a name, in the caller's transaction.

    Raises:
        Conflict: others took the next number again and again.
    """
    for _ in range(_NUMBERING_ATTEMPTS):
        try:
            with session.begin_nested():
                return _insert(session, new)
        except IntegrityError:  # another transaction took the number; it is visible now
            continue
    raise Conflict(f"{new.name} gets versions too quickly to number another one")


def resolve(session: Session, tenant_id: str, reference: str) -> ModelVersion:
    """Return the version that `reference` means.

    Raises:
        NotFound: there is none.
    """
    name, _, selector = reference.partition("@")
    if not selector:
        found = _by_id(session, tenant_id, name) or _preferred(session, tenant_id, name)
    elif selector.isascii() and selector.isdecimal():
        found = _by_number(session, tenant_id, name, int(selector))
    else:
        found = _by_alias(session, tenant_id, name, selector)
    if found is None:
        raise NotFound(f"there is no model {reference}")
    return found


def find_version(session: Session, tenant_id: str, name: str, number: int) -> ModelVersion:
    """Return a version by its number.

    Raises:
        NotFound: there is none.
    """
    version = _by_number(session, tenant_id, name, number)
    if version is None:
        raise NotFound(f"there is no version {number} of {name}")
    return version


def record_evaluation(
    session: Session, version_id: str, *, name: str, metrics: Mapping[str, Any]
) -> None:
    """Add what an evaluation found to a version's metrics, replacing one of the same name."""
    version = session.scalar(
        select(ModelVersion)
        .where(ModelVersion.id == version_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if version is None:
        raise NotFound(f"there is no model version {version_id}")
    version.metrics = {**version.metrics, name: dict(metrics)}
    session.flush()


def _insert(session: Session, new: NewVersion) -> ModelVersion:
    newest = session.scalar(
        select(func.max(ModelVersion.number)).where(
            ModelVersion.tenant_id == new.tenant_id, ModelVersion.name == new.name
        )
    )
    version = ModelVersion(
        id=new_id("mdl"),
        tenant_id=new.tenant_id,
        name=new.name,
        number=(newest or 0) + 1,
        kind=new.kind,
        key=new.key,
        sha256=new.sha256,
        card=dict(new.card),
        metrics=dict(new.metrics),
        job_id=new.job_id,
        dataset_version_id=new.dataset_version_id,
        dataset_digest=new.dataset_digest,
        parent_id=new.parent_id,
    )
    session.add(version)
    session.flush()
    return version


def _by_id(session: Session, tenant_id: str, version_id: str) -> ModelVersion | None:
    if not version_id.startswith(_ID_PREFIX):
        return None
    return session.scalar(
        select(ModelVersion).where(
            ModelVersion.id == version_id, ModelVersion.tenant_id == tenant_id
        )
    )


def _by_number(session: Session, tenant_id: str, name: str, number: int) -> ModelVersion | None:
    if number > _MAX_NUMBER:
        return None
    return session.scalar(
        select(ModelVersion).where(
            ModelVersion.tenant_id == tenant_id,
            ModelVersion.name == name,
            ModelVersion.number == number,
        )
    )


def _by_alias(session: Session, tenant_id: str, name: str, alias: str) -> ModelVersion | None:
    return session.scalar(
        select(ModelVersion)
        .join(ModelAlias, ModelAlias.version_id == ModelVersion.id)
        .where(
            ModelAlias.tenant_id == tenant_id, ModelAlias.name == name, ModelAlias.alias == alias
        )
    )


def _preferred(session: Session, tenant_id: str, name: str) -> ModelVersion | None:
    return _by_alias(session, tenant_id, name, CHAMPION) or session.scalar(
        select(ModelVersion)
        .where(ModelVersion.tenant_id == tenant_id, ModelVersion.name == name)
        .order_by(ModelVersion.number.desc())
        .limit(1)
    )
