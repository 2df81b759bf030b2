"""Add stock.

Revision ID: 473b1b4d6fe6
Revises: 0c6f865f7a54
Create Date: 2025-05-21 17:54:29.120868

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "473b1b4d6fe6"
down_revision: str | Sequence[str] | None = "0c6f865f7a54"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STOCK = """
    INSERT INTO stock (book_id, on_hand, shelf)
    SELECT books.id, 5 + books.id % 40, left(genres.name, 2) || books.id % 12
    FROM books JOIN genres ON genres.id = books.genre_id
    WHERE books.format <> 'ebook'
"""


def upgrade() -> None:
    """Create the stock, and record this year's count of it."""
    op.create_table(
        "stock",
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("shelf", sa.Text(), nullable=False),
        sa.CheckConstraint("on_hand >= 0", name=op.f("ck_stock_on_hand_not_negative")),
        sa.ForeignKeyConstraint(
            ["book_id"], ["books.id"], name=op.f("fk_stock_book_id_books"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("book_id", name=op.f("pk_stock")),
    )
    op.execute(STOCK)


def downgrade() -> None:
    """Drop the stock."""
    op.drop_table("stock")
