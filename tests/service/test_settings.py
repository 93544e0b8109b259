"""Where the service runs."""

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_everything_lies_in_one_folder_by_default(tmp_path):
    settings = Settings(data_dir=tmp_path)

    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/amlp.db"
    assert settings.resolved_storage_url == f"file://{tmp_path}/objects"
    assert settings.resolved_redis_url == f"redis+socket://{tmp_path}/run/redis.sock"


def test_environment_names_real_servers(monkeypatch):
    monkeypatch.setenv("AMLP_DATABASE_URL", "postgresql+psycopg://db/amlp")
    monkeypatch.setenv("AMLP_REDIS_URL", "redis://broker/0")
    monkeypatch.setenv("AMLP_STORAGE_URL", "s3://bucket/prefix")

    settings = Settings()

    assert settings.resolved_database_url == "postgresql+psycopg://db/amlp"
    assert settings.resolved_redis_url == "redis://broker/0"
    assert settings.resolved_storage_url == "s3://bucket/prefix"


def test_only_this_machine_is_served_by_default():
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"lease_seconds": 0}, {"max_attempts": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)
