"""first"""

from shared.columns import *

revision = "5a000001"
down_revision = None
depends_on = None


def upgrade():
    op.create_table("first", sa.Column("id", sa.Integer(), primary_key=True), created())


def downgrade():
    op.drop_table("first")
