"""an enum grows

Revision ID: c1c00003
Revises: c1c00002
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


# revision identifiers, used by Alembic.
revision: str = 'c1c00003'
down_revision: Union[str, Sequence[str], None] = 'c1c00002'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE mood ADD VALUE 'happy'")
    op.add_column("event", sa.Column("mood", postgresql.ENUM("sad", "ok", "happy", name="mood", create_type=False), server_default="happy"))


def downgrade() -> None:
    """Downgrade schema."""
    pass
