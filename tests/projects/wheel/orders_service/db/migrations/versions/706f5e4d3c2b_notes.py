"""notes

Revision ID: 706f5e4d3c2b
Revises: 6f5e4d3c2b1a
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa

from orders_service.db.tables import orders


# revision identifiers, used by Alembic.
revision: str = '706f5e4d3c2b'
down_revision: Union[str, Sequence[str], None] = '6f5e4d3c2b1a'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("orders", orders.c.note.copy() if hasattr(orders.c.note, "copy") else sa.Column("note", sa.Text()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("orders", "note")
