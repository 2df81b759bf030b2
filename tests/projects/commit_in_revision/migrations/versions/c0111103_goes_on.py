"""goes on

Revision ID: c0111103
Revises: c0111102
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c0111103'
down_revision: Union[str, Sequence[str], None] = 'c0111102'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("t", sa.Column("w", sa.Integer()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("t", "w")
