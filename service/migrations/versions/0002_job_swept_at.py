"""When what a job's broken-off attempts left in storage was removed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("swept_at", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("job", "swept_at")
