"""names

Revision ID: 002_widgets_have_a_name_that_is_quite_long
Revises: 001_init
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '002_widgets_have_a_name_that_is_quite_long'
down_revision: Union[str, Sequence[str], None] = '001_init'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("widget", sa.Column("name", sa.Text()))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("widget", "name")
