"""prices

Revision ID: c2222222bbbb
Revises: c1111111bbbb
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c2222222bbbb'
down_revision: Union[str, Sequence[str], None] = 'c1111111bbbb'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("product", sa.Column("price", sa.Numeric(10, 2)))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("product", "price")
