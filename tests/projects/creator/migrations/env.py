"""Connections come from a connector, as with a cloud's own authentication."""

import os

import psycopg
from alembic import context
from sqlalchemy import create_engine, event


def connect():
    return psycopg.connect(
        host=os.environ["DB_HOST"],
        port=os.environ["DB_PORT"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        dbname=os.environ["DB_NAME"],
        prepare_threshold=None,
    )


engine = create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)


@event.listens_for(engine, "connect")
def set_timezone(dbapi_connection, connection_record):
    existing = dbapi_connection.autocommit
    dbapi_connection.autocommit = True
    dbapi_connection.execute("SET TIME ZONE 'UTC'")
    dbapi_connection.autocommit = existing


with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
