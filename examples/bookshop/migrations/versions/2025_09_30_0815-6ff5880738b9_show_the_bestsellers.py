"""Show the bestsellers.

Revision ID: 6ff5880738b9
Revises: 7353f60110f6
Create Date: 2025-09-30 08:15:57.346102

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "6ff5880738b9"
down_revision: str | Sequence[str] | None = "7353f60110f6"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BESTSELLERS = """
    CREATE VIEW bestsellers AS
    SELECT
        books.id AS book_id,
        books.title,
        authors.name AS author,
        sum(order_lines.quantity) AS copies_sold,
        sum(order_lines.quantity * order_lines.unit_price_cents) AS revenue_cents
    FROM books
    JOIN authors ON authors.id = books.author_id
    JOIN order_lines ON order_lines.book_id = books.id
    JOIN orders ON orders.id = order_lines.order_id AND orders.status <> 'cancelled'
    GROUP BY books.id, authors.id
"""


def upgrade() -> None:
    """Create the view behind the front page."""
    op.execute(BESTSELLERS)


def downgrade() -> None:
    """Drop the view."""
    op.execute("DROP VIEW bestsellers")
