"""Accounts.

Revision ID: acc001
"""

import contextlib
import logging

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import orm

logger = logging.getLogger("alembic.runtime.migration")

revision, down_revision = "acc001", None


Base = orm.declarative_base()


class Account(Base):
    __tablename__ = "account"
    id = sa.Column(sa.Integer, primary_key=True)
    kind = sa.Column(sa.Enum("free", "paid", name="account_kind"), default="free")


@contextlib.contextmanager
def session():
    session = orm.Session(bind=op.get_bind(), expire_on_commit=False)
    try:
        yield session
        session.commit()
    except Exception:
        session.rollback()
        raise
    finally:
        session.close()


def upgrade():
    if context.is_offline_mode():
        return
    Base.metadata.create_all(op.get_bind())
    with session() as s:
        s.add_all([Account(id=1), Account(id=2, kind="paid")])
        logger.info("two accounts")


def downgrade():
    Base.metadata.drop_all(op.get_bind())
