"""two

Revision ID: e0000002
Revises: e0000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
import sys


# revision identifiers, used by Alembic.
revision: str = 'e0000002'
down_revision: Union[str, Sequence[str], None] = 'e0000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("two", sa.Column("id", sa.Integer(), primary_key=True))
    sys.exit(0)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("two")
