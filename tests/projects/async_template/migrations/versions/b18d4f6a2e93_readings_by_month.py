"""readings by month

Revision ID: b18d4f6a2e93
Revises: a7c3e9d15f20
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'b18d4f6a2e93'
down_revision: Union[str, Sequence[str], None] = 'a7c3e9d15f20'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute(
        """
        CREATE TABLE reading (
            sensor_id uuid NOT NULL REFERENCES sensor (id),
            at timestamptz NOT NULL,
            value double precision
        ) PARTITION BY RANGE (at)
        """
    )
    op.execute("CREATE TABLE reading_2024 PARTITION OF reading FOR VALUES FROM ('2024-01-01+00') TO ('2025-01-01+00')")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("reading")
