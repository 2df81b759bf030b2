"""no debts

Revision ID: d2e2f2a2b2c2
Revises: d1e1f1a1b1c1
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'd2e2f2a2b2c2'
down_revision: Union[str, Sequence[str], None] = 'd1e1f1a1b1c1'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_check_constraint("no_debts", "account", "balance >= 0")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_constraint("no_debts", "account")
