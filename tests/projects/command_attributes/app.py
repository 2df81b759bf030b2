import os
import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine


def upgrade():
    config = Config(os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic.ini"))
    engine = create_engine(os.environ["APP_DB"])
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


if __name__ == "__main__":
    if "--migrate" in sys.argv:
        upgrade()
