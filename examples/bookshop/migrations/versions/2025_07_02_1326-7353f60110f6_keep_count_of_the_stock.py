"""Keep count of the stock.

Revision ID: 7353f60110f6
Revises: 0ef21ea07432
Create Date: 2025-07-02 13:26:40.018295

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "7353f60110f6"
down_revision: str | Sequence[str] | None = "0ef21ea07432"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FUNCTION = """
    CREATE FUNCTION take_from_stock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP IN ('UPDATE', 'DELETE') THEN
            UPDATE stock SET on_hand = on_hand + OLD.quantity WHERE book_id = OLD.book_id;
        END IF;
        IF TG_OP IN ('INSERT', 'UPDATE') THEN
            UPDATE stock SET on_hand = on_hand - NEW.quantity WHERE book_id = NEW.book_id;
        END IF;
        RETURN NULL;
    END
    $$
"""
TRIGGER = """
    CREATE TRIGGER take_from_stock
    AFTER INSERT OR DELETE OR UPDATE OF book_id, quantity ON order_lines
    FOR EACH ROW EXECUTE FUNCTION take_from_stock()
"""


def upgrade() -> None:
    """Let each new line of an order take its copies from the shelf."""
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def downgrade() -> None:
    """Drop the trigger, then the function it calls."""
    op.execute("DROP TRIGGER take_from_stock ON order_lines")
    op.execute("DROP FUNCTION take_from_stock()")
