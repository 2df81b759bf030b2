"""first"""
import os

import sqlalchemy as sa
from alembic import op

revision = os.path.splitext(os.path.basename(__file__))[0]
down_revision = None


def upgrade():
    op.create_table("first", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("first")
