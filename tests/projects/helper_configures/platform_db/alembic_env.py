"""What every service's env.py does, in one place."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, pool


def run(metadata=None, schema="public", **options):
    config = context.config
    if config.config_file_name:
        fileConfig(config.config_file_name)
    engine = create_engine(config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            version_table="migrations",
            version_table_schema=schema,
            **options,
        )
        with context.begin_transaction():
            context.run_migrations()
