"""seed

Revision ID: 0a110002
Revises: 0a110001
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
import json
import pathlib

from sqlalchemy.orm import Session

from app.db import Country


# revision identifiers, used by Alembic.
revision: str = '0a110002'
down_revision: Union[str, Sequence[str], None] = '0a110001'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

HERE = pathlib.Path(__file__).parent


def upgrade() -> None:
    """Upgrade schema."""
    session = Session(bind=op.get_bind())
    session.add_all([Country(code=row["code"], name=row["name"]) for row in json.loads((HERE / "seed.json").read_text())])
    session.commit()


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("DELETE FROM country")
