"""events

Revision ID: c1c00001
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c1c00001'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("event", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("kind", sa.Text()), sa.Column("at", sa.DateTime()))
    op.execute("INSERT INTO event SELECT i, 'k' || i % 7 FROM generate_series(1, 1000) i")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("event")
