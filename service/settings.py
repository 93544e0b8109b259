"""Where the service runs: read from the environment (`AMLP_...`) once, at start.

What is computed belongs in `amlp.config`; a value is in one of the two, never both.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


class Settings(BaseSettings):
    """Settings of API, worker and embedded launcher.

    With none given everything lives in one data folder: SQLite, a private Redis, plain files.
    """

    model_config = SettingsConfigDict(env_prefix="AMLP_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("data"), description="Folder of the embedded parts and of scratch")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL, such as postgresql+psycopg://...; default SQLite"
    )
    redis_url: str | None = Field(
        None, description="Celery broker, redis://... or redis+socket://...; default embedded"
    )
    storage_url: str | None = Field(
        None,
        description="s3://bucket/prefix (credentials from AWS_*), or file://; default a folder",
    )

    host: str = Field("127.0.0.1", description="Address the API binds")
    port: int = Field(8000, ge=0, le=65535, description="Port the API binds; 0 picks a free one")
    allowed_hosts: str = Field(
        "", description="Further Host names requests may carry, comma-separated; * for any"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    lease_seconds: float = Field(60.0, gt=0, description="A job not heard of for so long is lost")
    heartbeat_seconds: float = Field(10.0, gt=0, description="Interval of a worker's heartbeats")
    reconcile_seconds: float = Field(10.0, gt=0, description="Interval of the reconciler")
    cancel_poll_seconds: float = Field(
        1.0, gt=0, description="How often a worker looks for a cancel"
    )
    stop_grace_seconds: float = Field(
        30.0, gt=0, description="Time to write a checkpoint on a stop"
    )
    cancel_timeout_seconds: float = Field(
        120.0, gt=0, description="A cancel is forced after so long"
    )
    max_attempts: int = Field(3, ge=1, le=20, description="Attempts of a job before it fails")
    retry_base_seconds: float = Field(
        30.0, ge=0, description="First wait before a retry; grows 4 x"
    )
    stall_seconds: float = Field(
        600.0, gt=0, description="A training without a step for so long may have stalled"
    )
    queue_ttl_seconds: float = Field(
        7 * 86400.0, gt=0, description="A job waits no longer than this"
    )

    max_json_bytes: int = Field(1 * MIB, gt=0, description="Largest JSON body")
    max_upload_bytes: int = Field(2 * GIB, gt=0, description="Largest upload body")
    max_image_bytes: int = Field(512 * MIB, gt=0, description="Largest single image body")
    max_archive_entries: int = Field(20_000, gt=0, description="Entries of an archive")
    max_archive_bytes: int = Field(4 * GIB, gt=0, description="Unpacked size of an archive")
    max_archive_ratio: float = Field(100.0, gt=1, description="Unpacked over packed size")
    decode_memory_bytes: int = Field(2 * GIB, gt=0, description="Memory of a decoding process")
    decode_seconds: float = Field(30.0, gt=0, description="CPU and wall time of one decoding")
    min_free_bytes: int = Field(
        256 * MIB, ge=0, description="Below this free space uploads get 507"
    )

    dataset_cache_bytes: int = Field(
        50 * GIB, ge=0, description="Data sets that a worker keeps on its disk for the next jobs"
    )

    device: str = Field(
        "auto", description="Torch device of predictions and jobs: auto, cpu, cuda:0"
    )
    num_threads: int = Field(0, ge=0, description="Torch threads of a process; 0 uses all cores")
    batch_max_size: int = Field(8, ge=1, description="Images a prediction batch holds at most")
    batch_max_delay_ms: float = Field(2.0, ge=0, description="How long a batch waits for company")
    predict_queue_size: int = Field(64, ge=1, description="Predictions that may wait; more get 503")
    loaded_models: int = Field(4, ge=1, description="Models kept in memory")

    @property
    def resolved_database_url(self) -> str:
        """The database URL, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'amlp.db'}"

    @property
    def resolved_storage_url(self) -> str:
        """The storage URL, or a folder in the data folder."""
        return self.storage_url or (self.data_dir.resolve() / "objects").as_uri()

    @property
    def resolved_redis_url(self) -> str:
        """The broker URL, or the embedded Redis's socket in the data folder."""
        return self.redis_url or f"redis+socket://{self.data_dir.resolve() / 'run' / 'redis.sock'}"
