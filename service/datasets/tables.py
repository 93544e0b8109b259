"""Rows of data sets: the set, its files, its frozen versions."""

from typing import Any

from sqlalchemy import JSON, Boolean, Double, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, db_now


class Dataset(Base):
    """A named collection of images, open for uploads until deleted."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    modality: Mapped[str | None] = mapped_column(String(20))
    label_names: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())
    deleted_at: Mapped[float | None] = mapped_column(Double)


class DatasetFile(Base):
    """One image or mask in canonical form; the bytes lie in storage under `key`."""

    __tablename__ = "dataset_file"
    __table_args__ = (UniqueConstraint("dataset_id", "role", "stem"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    role: Mapped[str] = mapped_column(String(10))
    stem: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(64))
    num_bytes: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    is_grey: Mapped[bool] = mapped_column(Boolean)
    num_slices: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    width: Mapped[int] = mapped_column(Integer)
    spacing_mm: Mapped[list[float] | None] = mapped_column(JSON)
    affine: Mapped[list[list[float]] | None] = mapped_column(JSON)
    labels: Mapped[list[int]] = mapped_column(JSON)
    patient: Mapped[str | None] = mapped_column(String(200))
    split: Mapped[str | None] = mapped_column(String(20))
    thumbnail_key: Mapped[str | None] = mapped_column(String(300))
    warnings: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())


class DatasetVersion(Base):
    """An immutable, digested state of a data set; jobs run on versions only."""

    __tablename__ = "dataset_version"
    __table_args__ = (
        UniqueConstraint("dataset_id", "number"),
        Index("ix_dataset_version_digest", "tenant_id", "digest"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    tenant_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(80))
    manifest_key: Mapped[str] = mapped_column(String(300))
    summary: Mapped[dict[str, Any]] = mapped_column(JSON)
    validation: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    note: Mapped[str | None] = mapped_column(String(1000))
    created_at: Mapped[float] = mapped_column(Double, server_default=db_now())
