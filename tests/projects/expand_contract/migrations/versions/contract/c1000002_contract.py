"""contract

Revision ID: c1000002
Revises: c1000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c1000002'
down_revision: Union[str, Sequence[str], None] = 'c1000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = ('e1000002',)


def upgrade() -> None:
    """Upgrade schema."""
    op.drop_column("agent", "old")


def downgrade() -> None:
    """Downgrade schema."""
    op.add_column("agent", sa.Column("old", sa.Text()))
