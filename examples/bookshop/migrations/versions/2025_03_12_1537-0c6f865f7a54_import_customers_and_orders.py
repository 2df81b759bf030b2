"""Import customers and orders.

Revision ID: 0c6f865f7a54
Revises: 21bd395b9337
Create Date: 2025-03-12 15:37:18.905743

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "0c6f865f7a54"
down_revision: str | Sequence[str] | None = "21bd395b9337"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CUSTOMERS = """
    INSERT INTO customers (email, full_name, created_at)
    SELECT
        'reader' || n || '@example.org',
        'Reader ' || n,
        TIMESTAMPTZ '2023-01-01 08:00+00' + n * INTERVAL '5 hours'
    FROM generate_series(1, 1500) AS n
"""
# The old shop told capitals apart, so three readers could sign up twice.
CUSTOMERS_WITH_TWO_ACCOUNTS = """
    INSERT INTO customers (email, full_name, created_at)
    SELECT
        'Reader' || n || '@Example.org',
        'Reader ' || n,
        TIMESTAMPTZ '2023-12-01 08:00+00' + n * INTERVAL '1 hour'
    FROM generate_series(500, 1500, 500) AS n
"""
ORDERS = """
    WITH buyers AS (SELECT array_agg(id ORDER BY id) AS ids FROM customers)
    INSERT INTO orders (customer_id, status, placed_at)
    SELECT
        buyers.ids[1 + n * 11 % array_length(buyers.ids, 1)],
        (CASE WHEN n % 40 = 0 THEN 'cancelled' WHEN n <= 4900 THEN 'shipped' ELSE 'paid' END)::order_status,
        TIMESTAMPTZ '2024-03-01 08:00+00' + n * INTERVAL '100 minutes'
    FROM generate_series(1, 5000) AS n CROSS JOIN buyers
"""
ORDER_LINES = """
    WITH catalogue AS (
        SELECT array_agg(id ORDER BY id) AS ids, array_agg(price_cents ORDER BY id) AS prices FROM books
    ),
    numbered AS (SELECT id, row_number() OVER (ORDER BY id)::int AS n FROM orders),
    chosen AS (
        SELECT numbered.id AS order_id, line, numbered.n, 1 + (numbered.n * 31 + line * 977) % 3000 AS place
        FROM numbered CROSS JOIN LATERAL generate_series(1, 1 + numbered.n % 3) AS line
    )
    INSERT INTO order_lines (order_id, book_id, quantity, unit_price_cents)
    SELECT order_id, catalogue.ids[place], 1 + (n + line) % 2, catalogue.prices[place]
    FROM chosen CROSS JOIN catalogue
"""


def upgrade() -> None:
    """Bring 1503 accounts, 5000 orders and their lines over from the old shop."""
    op.execute(CUSTOMERS)
    op.execute(CUSTOMERS_WITH_TWO_ACCOUNTS)
    op.execute(ORDERS)
    op.execute(ORDER_LINES)


def downgrade() -> None:
    """Delete the imported accounts with all their orders; the lines follow by cascade."""
    op.execute(
        """
        DELETE FROM orders USING customers
        WHERE orders.customer_id = customers.id AND lower(customers.email) LIKE 'reader%@example.org'
        """
    )
    op.execute("DELETE FROM customers WHERE lower(email) LIKE 'reader%@example.org'")
