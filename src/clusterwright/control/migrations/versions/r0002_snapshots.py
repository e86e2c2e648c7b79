"""Jobs of the snapshot, a row for each; the rest of it stands in `pictures`."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the journal to this revision."""
    op.create_table(
        "snapshot_jobs",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
