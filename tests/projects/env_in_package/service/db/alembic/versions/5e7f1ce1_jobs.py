"""jobs

Revision ID: 5e7f1ce1
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa

from service.db.base import SCHEMA


# revision identifiers, used by Alembic.
revision: str = '5e7f1ce1'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("job", sa.Column("id", sa.Integer(), primary_key=True), schema=SCHEMA)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("job", schema=SCHEMA)
