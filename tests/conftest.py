"""Fixtures for all tests: real servers, real images, the service's settings and resources."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from fastapi.testclient import TestClient

from service.auth.keys import create_key
from service.migrations import upgrade
from service.resources import Resources, open_resources
from service.settings import Settings
from tests.servers import postgresql_server, redis_server, s3_server

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Take back what an application under test did to the process's logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_server_url() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a bucket; the environment, which child processes inherit, says how to reach it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    bucket = f"bucket-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/prefix"


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("AMLP_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder} (set AMLP_TEST_DATA)")
    return folder


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
