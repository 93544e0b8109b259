"""The first schema: keys, data sets, jobs, models."""

import sqlalchemy as sa
from alembic import op

from service.database import db_now

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "api_key",
    "dataset",
    "dataset_file",
    "dataset_version",
    "model_version",
    "model_alias",
    "job",
    "job_event",
    "job_artifact",
)


def upgrade() -> None:
    _create_api_key()
    _create_dataset()
    _create_dataset_file()
    _create_dataset_version()
    _create_model_version()
    _create_model_alias()
    _create_job()
    _create_job_event()
    _create_job_artifact()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    op.create_index(op.f("ix_api_key_tenant_id"), "api_key", ["tenant_id"])


def _create_dataset() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("modality", sa.String(length=20), nullable=True),
        sa.Column("label_names", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
    )
    op.create_index(op.f("ix_dataset_tenant_id"), "dataset", ["tenant_id"])


def _create_dataset_file() -> None:
    op.create_table(
        "dataset_file",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("stem", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("num_bytes", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("is_grey", sa.Boolean(), nullable=False),
        sa.Column("num_slices", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("spacing_mm", sa.JSON(), nullable=True),
        sa.Column("affine", sa.JSON(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("patient", sa.String(length=200), nullable=True),
        sa.Column("split", sa.String(length=20), nullable=True),
        sa.Column("thumbnail_key", sa.String(length=300), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_file_dataset_id_dataset")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_file")),
        sa.UniqueConstraint(
            "dataset_id", "role", "stem", name=op.f("uq_dataset_file_dataset_id_role_stem")
        ),
    )
    op.create_index(op.f("ix_dataset_file_dataset_id"), "dataset_file", ["dataset_id"])


def _create_dataset_version() -> None:
    op.create_table(
        "dataset_version",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("manifest_key", sa.String(length=300), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("validation", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_version_dataset_id_dataset")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_version")),
        sa.UniqueConstraint(
            "dataset_id", "number", name=op.f("uq_dataset_version_dataset_id_number")
        ),
    )
    op.create_index(op.f("ix_dataset_version_dataset_id"), "dataset_version", ["dataset_id"])
    op.create_index("ix_dataset_version_digest", "dataset_version", ["tenant_id", "digest"])


def _create_model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=80), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("dataset_version_id", sa.String(length=40), nullable=True),
        sa.Column("dataset_digest", sa.String(length=80), nullable=True),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_version")),
        sa.UniqueConstraint(
            "tenant_id", "name", "number", name=op.f("uq_model_version_tenant_id_name_number")
        ),
    )
    op.create_index(op.f("ix_model_version_job_id"), "model_version", ["job_id"])
    op.create_index(op.f("ix_model_version_name"), "model_version", ["name"])
    op.create_index(op.f("ix_model_version_tenant_id"), "model_version", ["tenant_id"])


def _create_model_alias() -> None:
    op.create_table(
        "model_alias",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("alias", sa.String(length=50), nullable=False),
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("etag", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["model_version.id"],
            name=op.f("fk_model_alias_version_id_model_version"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "name", "alias", name=op.f("pk_model_alias")),
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_sha256", sa.String(length=80), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("dataset_version_id", sa.String(length=40), nullable=False),
        sa.Column("base_model_version_id", sa.String(length=40), nullable=True),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("phase", sa.String(length=20), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("crash_count", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("next_run_at", sa.Double(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("progress_at", sa.Double(), nullable=True),
        sa.Column("cancel_requested_at", sa.Double(), nullable=True),
        sa.Column("last_published_at", sa.Double(), nullable=True),
        sa.Column("next_event_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED')",
            name=op.f("ck_job_state"),
        ),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_version.id"],
            name=op.f("fk_job_dataset_version_id_dataset_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_dataset_version_id"), "job", ["dataset_version_id"])
    op.create_index("ix_job_state_next_run_at", "job", ["state", "next_run_at"])
    op.create_index("ix_job_tenant_id_created_at", "job", ["tenant_id", "created_at"])
    op.create_index(
        "uq_job_tenant_id_idempotency_key", "job", ["tenant_id", "idempotency_key"], unique=True
    )


def _create_job_event() -> None:
    op.create_table(
        "job_event",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=12), nullable=False),
        sa.Column("at", sa.Double(), server_default=db_now(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_event_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_job_event")),
    )
    op.create_index(op.f("ix_job_event_type"), "job_event", ["type"])


def _create_job_artifact() -> None:
    op.create_table(
        "job_artifact",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=80), nullable=False),
        sa.Column("num_bytes", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), server_default=db_now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_artifact_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_artifact")),
    )
    op.create_index(op.f("ix_job_artifact_job_id"), "job_artifact", ["job_id"])
