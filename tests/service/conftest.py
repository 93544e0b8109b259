"""Fixtures of the service's tests: both databases, keys of any scope."""

from collections.abc import Callable, Iterator

import pytest

from service.auth.keys import create_key
from service.migrations import upgrade
from service.resources import Resources, open_resources
from service.settings import Settings
from tests.servers import postgresql_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def any_resources(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Resources]:
    """Resources on each of the two databases."""
    if request.param == "sqlite":
        opened = open_resources(settings)
        yield opened
        opened.close()
        return
    server = request.getfixturevalue("postgresql_server_url")
    with postgresql_database(server) as url:
        upgrade(url)
        opened = open_resources(settings.model_copy(update={"database_url": url}))
        yield opened
        opened.close()


@pytest.fixture
def make_headers(resources: Resources) -> Callable[..., dict[str, str]]:
    """Make a key with the given scopes; return the headers that carry it."""

    def make(*scopes: str, tenant_id: str = "default") -> dict[str, str]:
        with resources.database.write() as session:
            _, secret = create_key(session, name="test", scopes=scopes, tenant_id=tenant_id)
        return {"Authorization": f"Bearer {secret}"}

    return make
