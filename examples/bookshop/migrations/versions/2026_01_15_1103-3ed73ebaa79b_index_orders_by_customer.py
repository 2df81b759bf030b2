"""Index orders by customer.

Revision ID: 3ed73ebaa79b
Revises: 6ff5880738b9
Create Date: 2026-01-15 11:03:36.874519

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "3ed73ebaa79b"
down_revision: str | Sequence[str] | None = "6ff5880738b9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEX = "ix_orders_customer_id_placed_at"


def upgrade() -> None:
    """Index the orders of a customer while the shop stays open."""
    with op.get_context().autocommit_block():
        # A build that was interrupted leaves an invalid index of this name behind.
        op.drop_index(INDEX, table_name="orders", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "orders", ["customer_id", "placed_at"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop the index, again without holding anybody up."""
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, table_name="orders", if_exists=True, postgresql_concurrently=True)
