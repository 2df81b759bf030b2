import os

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")


def ensure_database():
    """Creates the database when it is missing."""
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": url.database}
        ).scalar()
        if not found:
            connection.execute(text(f'CREATE DATABASE "{url.database}"'))
    engine.dispose()


ensure_database()
engine = create_engine(url)
with engine.connect() as connection:
    context.configure(connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
