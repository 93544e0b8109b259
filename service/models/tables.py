"""Rows of trained networks: versions of a named model, and aliases that point at them."""

from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, db_now


class ModelVersion(Base):
    """One trained network, immutable. `kind` is `pretrained` (an encoder) or `segmenter`.

    `key` is the storage prefix that holds `weights.safetensors` and `checkpoint.json`;
    `card` is the checkpoint's description (architecture, label names, versions, seed).
    """

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("tenant_id", "name", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(String(100), index=True)
    number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(80))
    card: Mapped[dict[str, Any]] = mapped_column(JSON)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    job_id: Mapped[str | None] = mapped_column(String(40), index=True)
    dataset_version_id: Mapped[str | None] = mapped_column(String(40))
    dataset_digest: Mapped[str | None] = mapped_column(String(80))
    parent_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())


class ModelAlias(Base):
    """A movable name for a version, such as `champion`; `etag` guards against lost updates."""

    __tablename__ = "model_alias"

    tenant_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    alias: Mapped[str] = mapped_column(String(50), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("model_version.id"))
    etag: Mapped[str] = mapped_column(String(40))
    updated_at: Mapped[float] = mapped_column(Double, server_default=db_now())
