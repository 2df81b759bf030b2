"""more noise

Revision ID: bad0000002
Revises: bad0000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'bad0000002'
down_revision: Union[str, Sequence[str], None] = 'bad0000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("noise", sa.Column("db", sa.Float()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("noise", "db")
