"""Fill in order totals.

Revision ID: 62d8443a86d6
Revises: b44b9cef8e6d
Create Date: 2026-02-11 16:30:05.991740

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "62d8443a86d6"
down_revision: str | Sequence[str] | None = "b44b9cef8e6d"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CHUNK_SIZE = 1000
# It answers with the last order it filled in, and with NULL once there is none left.
FILL_CHUNK = sa.text(
    """
    WITH chunk AS (
        SELECT id FROM orders WHERE id > :last_id AND total_cents IS NULL ORDER BY id LIMIT :chunk_size
    ),
    filled AS (
        UPDATE orders
        SET total_cents = (
            SELECT coalesce(sum(quantity * unit_price_cents), 0) FROM order_lines WHERE order_id = orders.id
        )
        FROM chunk
        WHERE orders.id = chunk.id
        RETURNING orders.id
    )
    SELECT max(id) FROM filled
    """
)


def upgrade() -> None:
    """Fill in the totals in chunks; each commits by itself, so another attempt carries on from there."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        last_id: int | None = 0
        while last_id is not None:
            last_id = connection.scalar(FILL_CHUNK, {"last_id": last_id, "chunk_size": CHUNK_SIZE})


def downgrade() -> None:
    """Forget the totals: the lines still have them."""
    op.execute("UPDATE orders SET total_cents = NULL WHERE total_cents IS NOT NULL")
