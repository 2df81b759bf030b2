import os
import pathlib
from logging.config import fileConfig

from alembic import context
from dotenv import load_dotenv
from sqlalchemy import create_engine

here = pathlib.Path(__file__).resolve().parent.parent
load_dotenv(here / ".env")

config = context.config
fileConfig(config.config_file_name, disable_existing_loggers=False)

DATABASE_URL = os.getenv("SHOP_DATABASE_URL") or f"sqlite:///{here / 'shop.db'}"
is_sqlite = DATABASE_URL.startswith("sqlite")

connectable = create_engine(DATABASE_URL)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None, render_as_batch=is_sqlite)
    with context.begin_transaction():
        context.run_migrations()
