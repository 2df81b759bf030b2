"""audit trail

Revision ID: a1b1c1d1e1f1
Revises: d1e1f1a1b1c1
Create Date: 2024-03-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = 'a1b1c1d1e1f1'
down_revision: Union[str, Sequence[str], None] = 'd1e1f1a1b1c1'
branch_labels: Union[str, Sequence[str], None] = ('audit',)
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("""
        CREATE TABLE audit (at timestamptz DEFAULT now(), who text DEFAULT current_user, what jsonb);
        CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit (what) VALUES (to_jsonb(NEW));
            RETURN NEW;
        END $$;
        CREATE TRIGGER audit_row AFTER INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION audit_row();
    """)


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("DROP FUNCTION audit_row CASCADE; DROP TABLE audit")
