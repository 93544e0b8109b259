"""The migrations and the models describe one schema."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.database import Base, Database
from service.migrations import is_current, upgrade
from tests.servers import postgresql_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'amlp.db'}"
        return
    with postgresql_database(request.getfixturevalue("postgresql_server_url")) as made:
        yield made


def test_migrated_schema_is_the_models(url):
    upgrade(url)
    database = Database(url)

    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)

    database.close()
    assert differences == []


def test_upgrading_twice_changes_nothing(url):
    upgrade(url)
    upgrade(url)

    database = Database(url)
    assert is_current(database.engine)
    database.close()


def test_empty_database_is_not_current(url):
    database = Database(url)

    assert not is_current(database.engine)

    database.close()
