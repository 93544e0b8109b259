"""API keys: their format, their rows, and how a secret is checked against them.

A secret reads `amlp_<env>_<id8>_<43 characters>_<checksum>`. The checksum lets a mistyped key be
refused without a look at the database, and secret scanners recognise a leaked one. Only the sha256
of a secret is stored: 256 random bits need no slow hash.
"""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.auth.scopes import Scope
from service.auth.tables import ApiKey
from service.database import Database, db_now, new_id
from service.errors import Unauthenticated

KEY_ENVIRONMENT = "live"
DEFAULT_TENANT = "default"
USE_RECORD_SECONDS = 60.0
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LENGTH = 6


@dataclass(frozen=True)
class Principal:
    """Who calls: a key, its tenant, what it may do."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        """Whether the key has `scope`, or `admin`, which includes all."""
        return scope in self.scopes or "admin" in self.scopes


def create_key(
    session: Session,
    *,
    name: str,
    scopes: Sequence[Scope],
    tenant_id: str = DEFAULT_TENANT,
    expires_at: float | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key's row and its secret, which is not stored and cannot be shown again."""
    prefix = f"amlp_{KEY_ENVIRONMENT}_{''.join(secrets.choice(_DIGITS) for _ in range(8))}"
    body = f"{prefix}_{_base62(int.from_bytes(secrets.token_bytes(32)), 43)}"
    secret = f"{body}_{_checksum(body)}"
    row = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        name=name,
        prefix=prefix,
        sha256=_digest(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, secret


def authenticate(database: Database, secret: str) -> Principal:
    """Return who `secret` belongs to.

    Raises:
        Unauthenticated: mistyped, unknown, expired or revoked; the detail says which.
    """
    body, _, checksum = secret.rpartition("_")
    if not hmac.compare_digest(_checksum(body).encode(), checksum.encode()):
        raise Unauthenticated("not an API key: its checksum is wrong")
    prefix = body.rpartition("_")[0]
    with database.read() as session:
        found = session.execute(
            select(ApiKey, db_now().label("now")).where(ApiKey.prefix == prefix)
        ).one_or_none()
    if found is None or not hmac.compare_digest(found.ApiKey.sha256, _digest(secret)):
        raise Unauthenticated("unknown API key")
    row, now = found
    if row.revoked_at is not None:
        raise Unauthenticated("the API key was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise Unauthenticated("the API key expired")
    if now - (row.last_used_at or 0.0) > USE_RECORD_SECONDS:
        _record_use(database, row.id)
    return Principal(row.id, row.tenant_id, frozenset(row.scopes))


def _record_use(database: Database, key_id: str) -> None:
    with database.write() as session:
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=db_now()))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("utf-8", "surrogatepass")), _CHECKSUM_LENGTH)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _base62(number: int, length: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(length, _DIGITS[0])
