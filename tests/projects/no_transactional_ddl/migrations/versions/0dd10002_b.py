"""b

Revision ID: 0dd10002
Revises: 0dd10001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '0dd10002'
down_revision: Union[str, Sequence[str], None] = '0dd10001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("b", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("b_id", "b", ["id"])


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("b")
