"""From an upload to a segmentation on PostgreSQL, Redis and S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amlp.phantom import generate_phantoms
from service.migrations import upgrade
from service.settings import Settings
from tests.integration.caller import Caller, check_whole_flow
from tests.integration.conftest import CELERY, StartWorker
from tests.servers import postgresql_database

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def settings(
    tmp_path: Path, postgresql_server_url: str, redis_url: str, s3_url: str
) -> Iterator[Settings]:
    """Nothing but scratch files in the data folder."""
    with postgresql_database(postgresql_server_url) as database_url:
        upgrade(database_url)
        yield Settings(
            data_dir=tmp_path / "data",
            database_url=database_url,
            redis_url=redis_url,
            storage_url=s3_url,
            min_free_bytes=0,
            num_threads=1,
        )


def test_upload_becomes_a_segmentation_on_real_servers(
    caller: Caller, quick_settings: Settings, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(quick_settings, *CELERY)
    unseen = next((generate_phantoms(tmp_path / "new", 1, size=40) / "images").iterdir())

    check_whole_flow(caller, unseen.read_bytes())

    assert not (quick_settings.data_dir / "amlp.db").exists()
    assert not (quick_settings.data_dir / "objects").exists()
