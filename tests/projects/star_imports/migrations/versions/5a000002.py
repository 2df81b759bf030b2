"""second"""

from shared.columns import *

revision = "5a000002"
down_revision = '5a000001'
depends_on = None


def upgrade():
    op.create_table("second", sa.Column("id", sa.Integer(), primary_key=True), created())


def downgrade():
    op.drop_table("second")
