"""Bodies of the model routes."""

from typing import Any

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from service.models.aliases import ALIAS_PATTERN
from service.models.tables import ModelAlias, ModelVersion
from service.schemas import Schema, Timestamp

_VERSION_EXAMPLE: JsonDict = {
    "id": "mdl_01JD8QK5V8M6H3W2Z4Y7X9T1RB",
    "name": "skin-segment",
    "number": 3,
    "kind": "segmenter",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "metrics": {"validation/dice": 0.87},
    "lineage": {
        "parent_id": "mdl_01JD8QJ2A4B5C6D7E8F9G0H1JK",
        "job_id": "job_01JD8QK0000000000000000000",
        "dataset_version_id": "dsv_01JD8QH0000000000000000000",
        "dataset_digest": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    },
    "created_at": "2026-11-22T20:44:18Z",
}


class Lineage(Schema):
    """Where a network came from."""

    parent_id: str | None = Field(description="Version whose encoder this one started from")
    job_id: str | None = Field(description="Job that trained it")
    dataset_version_id: str | None
    dataset_digest: str | None = Field(description="Digest of the images and masks it saw")


class VersionView(Schema):
    """One trained network."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERSION_EXAMPLE]})

    id: str
    name: str
    number: int
    kind: str = Field(description="`pretrained` (an encoder) or `segmenter`")
    sha256: str = Field(description="Digest of the weights")
    metrics: dict[str, Any] = Field(
        description="Metrics of training; `evaluation/<dataset digest>/<split>` of evaluations"
    )
    lineage: Lineage
    created_at: Timestamp

    @classmethod
    def of(cls, version: ModelVersion) -> "VersionView":
        """Return the view of a row."""
        return cls.model_validate(
            {
                "id": version.id,
                "name": version.name,
                "number": version.number,
                "kind": version.kind,
                "sha256": version.sha256,
                "metrics": version.metrics,
                "lineage": Lineage.model_validate(version),
                "created_at": version.created_at,
            }
        )


class AliasView(Schema):
    """A movable name for a version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "skin-segment",
                    "alias": "champion",
                    "version": 3,
                    "version_id": "mdl_01JD8QK5V8M6H3W2Z4Y7X9T1RB",
                    "updated_at": "2026-11-22T20:44:18Z",
                }
            ]
        }
    )

    name: str
    alias: str
    version: int = Field(description="Number of the version it points at")
    version_id: str
    updated_at: Timestamp

    @classmethod
    def of(cls, alias: ModelAlias, version: ModelVersion) -> "AliasView":
        """Return the view of a row and the version it points at."""
        return cls.model_validate(
            {
                "name": alias.name,
                "alias": alias.alias,
                "version": version.number,
                "version_id": version.id,
                "updated_at": alias.updated_at,
            }
        )


class AliasPointer(Schema):
    """The version an alias shall point at."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 3}]})

    version: int = Field(ge=1, lt=2**31, description="Number of the version")


class ModelView(Schema):
    """A name with its newest version and its aliases."""

    name: str
    newest: VersionView
    aliases: dict[str, int] = Field(
        description=f"Version number by alias (aliases match `{ALIAS_PATTERN}`)"
    )


class CardView(Schema):
    """What a checkpoint says of itself: architecture, config, versions, seed."""

    name: str
    number: int
    sha256: str
    card: dict[str, Any]
