"""Merge reviews and stock.

Revision ID: 0ef21ea07432
Revises: 1ebd90b4eb02, 473b1b4d6fe6
Create Date: 2025-05-26 10:40:14.552907

"""

from collections.abc import Sequence

# revision identifiers, used by Alembic.
revision: str = "0ef21ea07432"
down_revision: str | Sequence[str] | None = ("1ebd90b4eb02", "473b1b4d6fe6")
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Join two branches that were written in the same week; there is nothing to change."""


def downgrade() -> None:
    """Part them again."""
