"""first

Revision ID: 20240105_1200_first
Revises: 
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '20240105_1200_first'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("CREATE TABLE part (id serial PRIMARY KEY, sku text UNIQUE)")


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("DROP TABLE part")
