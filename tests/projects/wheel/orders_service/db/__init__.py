"""Where the orders are kept."""

import os

from alembic import command
from alembic.config import Config


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", "orders_service:db/migrations")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def main() -> None:
    command.upgrade(alembic_config(os.environ["DATABASE_URL"]), "head")
