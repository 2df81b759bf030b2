"""notes per tenant

Revision ID: bb01bb02cc03
Revises: aa01bb02cc03
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'bb01bb02cc03'
down_revision: Union[str, Sequence[str], None] = 'aa01bb02cc03'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("note", sa.Column("order_id", sa.Integer(), sa.ForeignKey("tenant.order.id")), schema="tenant")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("note", schema="tenant")
