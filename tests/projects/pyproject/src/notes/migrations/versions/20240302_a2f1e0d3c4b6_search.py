"""search

Revision ID: a2f1e0d3c4b6
Revises: 91f0e2d3c4b5
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


# revision identifiers, used by Alembic.
revision: str = 'a2f1e0d3c4b6'
down_revision: Union[str, Sequence[str], None] = '91f0e2d3c4b5'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column(
        "note",
        sa.Column("search", postgresql.TSVECTOR(), sa.Computed("to_tsvector('english', coalesce(body, ''))", persisted=True)),
    )
    op.create_index("note_search", "note", ["search"], postgresql_using="gin")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("note", "search")
