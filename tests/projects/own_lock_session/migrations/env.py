import contextlib
from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, text

config = context.config
fileConfig(config.config_file_name)


@contextlib.contextmanager
def migration_lock(connection, key=2147483647):
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        connection.commit()


engine = create_engine(config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection, migration_lock(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.execute("SET lock_timeout TO '2s'; SET statement_timeout TO '1h'")
        context.run_migrations()
