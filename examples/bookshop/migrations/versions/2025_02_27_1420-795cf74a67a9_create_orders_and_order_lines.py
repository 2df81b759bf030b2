"""Create orders and order lines.

Revision ID: 795cf74a67a9
Revises: 7bb30daa37a9
Create Date: 2025-02-27 14:20:33.560127

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "795cf74a67a9"
down_revision: str | Sequence[str] | None = "7bb30daa37a9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the orders, the enum of their states, and the lines they consist of."""
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("placed", "paid", "shipped", "cancelled", name="order_status"),
            server_default="placed",
            nullable=False,
        ),
        sa.Column("placed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_orders_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_cents", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_lines_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id_orders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name=op.f("fk_order_lines_book_id_books")),
        sa.PrimaryKeyConstraint("order_id", "book_id", name=op.f("pk_order_lines")),
    )
    op.create_index(op.f("ix_order_lines_book_id"), "order_lines", ["book_id"])


def downgrade() -> None:
    """Drop both tables, then the enum."""
    op.drop_table("order_lines")
    op.drop_table("orders")
    op.execute("DROP TYPE order_status")
