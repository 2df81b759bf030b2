"""first

Revision ID: 1c2d3e4f5a6b
Revises:
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '1c2d3e4f5a6b'
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade(engine_name: str) -> None:
    """Upgrade schema."""
    globals()["upgrade_%s" % engine_name]()


def downgrade(engine_name: str) -> None:
    """Downgrade schema."""
    globals()["downgrade_%s" % engine_name]()


def upgrade_engine1() -> None:
    """Upgrade engine1 schema."""
    op.create_table("left", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade_engine1() -> None:
    """Downgrade engine1 schema."""
    op.drop_table("left")


def upgrade_engine2() -> None:
    """Upgrade engine2 schema."""
    op.create_table("right", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade_engine2() -> None:
    """Downgrade engine2 schema."""
    op.drop_table("right")
