"""Totals."""

import sqlalchemy as sa
from alembic import op

revision: str = "acc002"
down_revision: str | None = "acc001"


def upgrade() -> None:
    _add_column()
    with op.get_bind().begin_nested() as savepoint:
        op.get_bind().exec_driver_sql("UPDATE account SET total = 1")
        savepoint.rollback()
    for row in op.get_bind().execute(sa.text("SELECT id FROM account ORDER BY id")).mappings():
        op.get_bind().execute(sa.text("UPDATE account SET total = :id WHERE id = :id"), dict(row))


def _add_column() -> None:
    op.add_column("account", sa.Column("total", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("account", "total")
