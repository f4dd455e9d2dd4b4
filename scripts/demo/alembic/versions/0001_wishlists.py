"""Customers can keep a wish list."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "wishlists",
        sa.Column("wishlist_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.customer_id"), nullable=False),
        sa.Column("product_id", sa.BigInteger, sa.ForeignKey("products.product_id"), nullable=False),
    )
    op.create_index("wishlists_customer_idx", "wishlists", ["customer_id"])


def downgrade():
    op.drop_table("wishlists")
