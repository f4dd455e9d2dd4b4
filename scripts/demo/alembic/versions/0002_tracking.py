"""Shipments get a tracking number."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("shipments", sa.Column("tracking", sa.Text))
    op.create_index("shipments_tracking_idx", "shipments", ["tracking"])


def downgrade():
    op.drop_column("shipments", "tracking")
