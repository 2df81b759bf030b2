from alembic import context

from notes.db import make_engine


def run_migrations_online() -> None:
    engine = make_engine()
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)

        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run_migrations_online()
