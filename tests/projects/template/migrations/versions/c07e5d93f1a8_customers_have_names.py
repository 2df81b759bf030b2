"""customers have names

Revision ID: c07e5d93f1a8
Revises: 8d41f0b6a2c9
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c07e5d93f1a8'
down_revision: Union[str, Sequence[str], None] = '8d41f0b6a2c9'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("customer", sa.Column("name", sa.String(), nullable=True))
    op.execute("UPDATE customer SET name = split_part(email, '@', 1)")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("customer", "name")
