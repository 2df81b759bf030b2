from alembic import context
from sqlalchemy import create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), pool_size=2)
with engine.connect() as connection:
    with connection.begin():
        context.configure(connection=connection, target_metadata=None)
        context.run_migrations()
