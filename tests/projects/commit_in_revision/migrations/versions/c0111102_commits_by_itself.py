"""commits by itself

Revision ID: c0111102
Revises: c0111101
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c0111102'
down_revision: Union[str, Sequence[str], None] = 'c0111101'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("COMMIT")
    op.execute("CREATE INDEX CONCURRENTLY t_v ON t (v)")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_index("t_v")
