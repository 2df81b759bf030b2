"""right

Revision ID: 3e000003
Revises: 3e000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '3e000003'
down_revision: Union[str, Sequence[str], None] = '3e000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("r", sa.Column("r", sa.Integer()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("r", "r")
