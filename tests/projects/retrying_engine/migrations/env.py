import time

from alembic import context
from sqlalchemy import create_engine, exc, inspect, text

engine = create_engine(
    context.config.get_main_option("sqlalchemy.url"), pool_pre_ping=True, pool_recycle=1800, echo=False
)


def wait_until_ready(attempts=30):
    for _ in range(attempts):
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            return
        except exc.OperationalError:
            time.sleep(1)
    raise SystemExit("the database is not there")


wait_until_ready()
is_new = not inspect(engine).has_table("alembic_version")
print("a new database" if is_new else "an existing one")
with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
    context.configure(connection=connection, target_metadata=None, compare_server_default=True)
    with context.begin_transaction():
        context.get_context()._ensure_version_table()
        connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        context.run_migrations()
