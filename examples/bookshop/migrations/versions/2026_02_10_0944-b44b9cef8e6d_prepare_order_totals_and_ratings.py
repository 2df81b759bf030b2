"""Prepare order totals and ratings.

Revision ID: b44b9cef8e6d
Revises: 3ed73ebaa79b
Create Date: 2026-02-10 09:44:12.209388

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "b44b9cef8e6d"
down_revision: str | Sequence[str] | None = "3ed73ebaa79b"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add the columns ahead of their backfills, so that no backfill holds the lock of an ALTER TABLE."""
    op.add_column("orders", sa.Column("total_cents", sa.BigInteger(), nullable=True))
    op.add_column("books", sa.Column("rating", sa.Numeric(precision=3, scale=2), nullable=True))
    op.add_column(
        "books", sa.Column("rating_count", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("books", "rating_count")
    op.drop_column("books", "rating")
    op.drop_column("orders", "total_cents")
