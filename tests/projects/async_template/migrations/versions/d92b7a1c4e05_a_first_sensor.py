"""a first sensor

Revision ID: d92b7a1c4e05
Revises: b18d4f6a2e93
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
import uuid

# revision identifiers, used by Alembic.
revision: str = 'd92b7a1c4e05'
down_revision: Union[str, Sequence[str], None] = 'b18d4f6a2e93'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    async def insert(connection):
        await connection.execute(
            sa.text("INSERT INTO sensor (id, label) VALUES (:id, :label)"),
            {"id": uuid.UUID(int=1), "label": "roof"},
        )

    op.run_async(insert)


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("DELETE FROM sensor")
