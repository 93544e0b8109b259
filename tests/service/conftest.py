"""Fixtures of the service: settings, resources, a running application, keys."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.auth.keys import create_key
from service.migrations import upgrade
from service.resources import Resources, open_resources
from service.settings import Settings
from tests.servers import postgresql_database


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Take back what an application under test did to the process's logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "amlp.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def settings(tmp_path: Path, migrated_database: Path, redis_url: str) -> Settings:
    shutil.copy(migrated_database, tmp_path / "amlp.db")
    return Settings(data_dir=tmp_path, redis_url=redis_url, min_free_bytes=0, num_threads=1)


@pytest.fixture
def resources(settings: Settings) -> Iterator[Resources]:
    opened = open_resources(settings)
    yield opened
    opened.close()


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


@pytest.fixture
def api_key(resources: Resources) -> str:
    with resources.database.write() as session:
        _, secret = create_key(session, name="test admin", scopes=["admin"])
    return secret


@pytest.fixture
def headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of the running application, over HTTP semantics but no socket."""
    from service.app import create_app  # noqa: PLC0415  (only the tests of routes need it)

    app = create_app(settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as running:
        yield running
