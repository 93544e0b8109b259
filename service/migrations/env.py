"""Runs migrations on the database that `upgrade` was given."""

from alembic import context
from sqlalchemy import Connection, text

import service.auth.tables
import service.datasets.tables
import service.jobs.tables
import service.models.tables  # noqa: F401  (the imports declare the tables)
from service.database import Base, Database

_LOCK_NUMBER = 0x616D6C71


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        context.run_migrations()


database = Database(context.config.attributes["database_url"])
with database.engine.execution_options(immediate=True).connect() as connection:
    _migrate(connection)
database.close()
