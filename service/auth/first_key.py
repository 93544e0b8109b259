"""The first key: made once, on the first start, so that no deployment is ever open."""

import os
from pathlib import Path

from sqlalchemy import func, select, text

from service.auth.keys import create_key
from service.auth.tables import ApiKey
from service.resources import Resources

_LOCK_NUMBER = 0x616D6C70  # any constant: all processes must take the same lock


def ensure_admin_key(resources: Resources, path: Path) -> str | None:
    """Create an admin key if there is no key at all, and write its secret to `path` (mode 0600).

    Returns the secret when it was created now, else None.
    """
    with resources.database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        if session.scalar(select(func.count()).select_from(ApiKey)):
            return None
        _, secret = create_key(session, name="first admin key", scopes=["admin"])
        _write_private(path, secret + "\n")
    return secret


def _write_private(path: Path, content: str) -> None:
    """Write the file before the row is committed: a key whose secret is lost locks everyone out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
