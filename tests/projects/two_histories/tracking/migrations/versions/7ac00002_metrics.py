"""metrics

Revision ID: 7ac00002
Revises: 7ac00001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '7ac00002'
down_revision: Union[str, Sequence[str], None] = '7ac00001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("metrics", sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id")), sa.Column("value", sa.Float()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("metrics")
