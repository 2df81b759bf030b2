"""Recompute ratings.

Revision ID: 01ba1b4cee74
Revises: 62d8443a86d6
Create Date: 2026-03-24 14:58:47.063251

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "01ba1b4cee74"
down_revision: str | Sequence[str] | None = "62d8443a86d6"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

RECOMPUTE = """
    UPDATE books
    SET rating = counted.rating, rating_count = counted.reviews
    FROM (
        SELECT book_id, round(avg(stars), 2) AS rating, count(*) AS reviews FROM reviews GROUP BY book_id
    ) AS counted
    WHERE books.id = counted.book_id
"""


def upgrade() -> None:
    """Rate every book by its reviews."""
    # This shop is too small to keep anybody waiting. The pause stands for the long backfill of a larger
    # one, so that the demonstration has progress to show; it comes first and so holds no row locks.
    op.execute("SELECT pg_sleep(3)")
    op.execute(RECOMPUTE)


def downgrade() -> None:
    """Forget the ratings: the reviews still have them."""
    op.execute("UPDATE books SET rating = NULL, rating_count = 0 WHERE rating_count <> 0")
