"""job states

Revision ID: 5e7f1ce2
Revises: 5e7f1ce1
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa

from service.db.base import SCHEMA


# revision identifiers, used by Alembic.
revision: str = '5e7f1ce2'
down_revision: Union[str, Sequence[str], None] = '5e7f1ce1'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("job", sa.Column("state", sa.Text()), schema=SCHEMA)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("job", "state", schema=SCHEMA)
