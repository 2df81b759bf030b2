"""countries

Revision ID: 0a110001
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '0a110001'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("country", sa.Column("code", sa.String(2), primary_key=True), sa.Column("name", sa.Text(), nullable=False))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("country")
