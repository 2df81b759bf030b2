"""member names

Revision ID: 8d7c6b5a4930
Revises: 9e8d7c6b5a40
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '8d7c6b5a4930'
down_revision: Union[str, Sequence[str], None] = '9e8d7c6b5a40'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("member", sa.Column("name", sa.Text(), nullable=False, server_default=""))
    op.alter_column("member", "name", server_default=None)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("member", "name")
