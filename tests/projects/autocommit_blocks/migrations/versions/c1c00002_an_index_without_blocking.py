"""an index without blocking

Revision ID: c1c00002
Revises: c1c00001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c1c00002'
down_revision: Union[str, Sequence[str], None] = 'c1c00001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    with op.get_context().autocommit_block():
        op.create_index("event_kind", "event", ["kind"], postgresql_concurrently=True, if_not_exists=True)
    op.alter_column("event", "kind", nullable=False)


def downgrade() -> None:
    """Downgrade schema."""
    pass
