"""b

Revision ID: aa000002
Revises: aa000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'aa000002'
down_revision: Union[str, Sequence[str], None] = 'aa000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("CREATE INDEX CONCURRENTLY a_id ON a (id)")
    op.execute("VACUUM a")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_index("a_id")
