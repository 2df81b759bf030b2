"""notes

Revision ID: 91f0e2d3c4b5
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '91f0e2d3c4b5'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("note", sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True), sa.Column("body", sa.Text()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("note")
