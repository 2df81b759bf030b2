"""countries from a file

Revision ID: 6f5e4d3c2b1a
Revises: 5f4e3d2c1b0a
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
import csv
from pathlib import Path


# revision identifiers, used by Alembic.
revision: str = '6f5e4d3c2b1a'
down_revision: Union[str, Sequence[str], None] = '5f4e3d2c1b0a'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    country = op.create_table(
        "country", sa.Column("code", sa.CHAR(2), primary_key=True), sa.Column("name", sa.Text(), nullable=False)
    )
    with (Path(__file__).parent / "countries.csv").open(newline="") as file:
        op.bulk_insert(country, list(csv.DictReader(file)))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("country")
