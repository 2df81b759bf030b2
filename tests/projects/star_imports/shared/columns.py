import sqlalchemy as sa
from alembic import op

__all__ = ["created", "op", "sa"]


def created():
    return sa.Column("created_at", sa.DateTime(), server_default=sa.text("now()"))
