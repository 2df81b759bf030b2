"""reflect

Revision ID: 0a110003
Revises: 0a110002
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.orm import Session


# revision identifiers, used by Alembic.
revision: str = '0a110003'
down_revision: Union[str, Sequence[str], None] = '0a110002'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    bind = op.get_bind()
    inspector = sa.inspect(bind)
    if "continent" not in {column["name"] for column in inspector.get_columns("country")}:
        op.add_column("country", sa.Column("continent", sa.Text()))
    country = sa.Table("country", sa.MetaData(), autoload_with=bind)
    with Session(bind=bind) as session:
        session.execute(country.update().values(continent="?"))
        session.flush()
    bind.execute(sa.text("SELECT setseed(:seed)"), {"seed": 0.5})


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("country", "continent")
