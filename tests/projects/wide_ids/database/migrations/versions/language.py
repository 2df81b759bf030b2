"""language

Revision ID: 2024_02_01_customers_get_a_preferred_language_of_their_own
Revises: 2024_01_01_create_the_table_of_customers_and_their_addresses
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = '2024_02_01_customers_get_a_preferred_language_of_their_own'
down_revision: Union[str, Sequence[str], None] = '2024_01_01_create_the_table_of_customers_and_their_addresses'
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("customers", sa.Column("language", sa.String(5), server_default="en"))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("customers", "language")
