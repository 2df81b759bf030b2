"""second

Revision ID: 20240106_0900_second
Revises: 20240105_1200_first
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '20240106_0900_second'
down_revision: Union[str, Sequence[str], None] = '20240105_1200_first'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("CREATE VIEW part_names AS SELECT sku FROM part")


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("DROP VIEW part_names")
