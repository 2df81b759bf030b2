"""a view

Revision ID: 0be1ec01
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from dbobjects import ReplaceableObject


# revision identifiers, used by Alembic.
revision: str = '0be1ec01'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

first = ReplaceableObject("v", "SELECT a FROM c")


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("c", sa.Column("a", sa.Integer()), sa.Column("b", sa.Integer()))
    op.create_view(first)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_view(first)
