"""a better view

Revision ID: 0be1ec02
Revises: 0be1ec01
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from dbobjects import ReplaceableObject


# revision identifiers, used by Alembic.
revision: str = '0be1ec02'
down_revision: Union[str, Sequence[str], None] = '0be1ec01'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

second = ReplaceableObject("v", "SELECT a, b FROM c WHERE a > 5")


def upgrade() -> None:
    """Upgrade schema."""
    op.replace_view(second, replaces="0be1ec01.first")


def downgrade() -> None:
    """Downgrade schema."""
    op.replace_view(second, replace_with="0be1ec01.first")
