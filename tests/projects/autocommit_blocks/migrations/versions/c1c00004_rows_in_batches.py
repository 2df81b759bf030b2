"""rows in batches

Revision ID: c1c00004
Revises: c1c00003
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'c1c00004'
down_revision: Union[str, Sequence[str], None] = 'c1c00003'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    connection = op.get_bind()
    with op.get_context().autocommit_block():
        for start in range(1, 1001, 250):
            connection.execute(
                sa.text("UPDATE event SET mood = 'ok' WHERE id BETWEEN :start AND :end"), {"start": start, "end": start + 249}
            )


def downgrade() -> None:
    """Downgrade schema."""
    pass
