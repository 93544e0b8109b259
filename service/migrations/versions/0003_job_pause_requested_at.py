"""When a job was asked to pause; null for one that may run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("pause_requested_at", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("job", "pause_requested_at")
