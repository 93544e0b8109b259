"""Fixtures for all tests: real servers and the folder of real images."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import postgresql_server, redis_server

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_server_url() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("AMLP_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder} (set AMLP_TEST_DATA)")
    return folder
