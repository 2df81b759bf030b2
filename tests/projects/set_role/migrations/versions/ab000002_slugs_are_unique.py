"""slugs are unique

Revision ID: ab000002
Revises: ab000001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'ab000002'
down_revision: Union[str, Sequence[str], None] = 'ab000001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_unique_constraint("page_slug", "page", ["slug"])


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_constraint("page_slug", "page")
