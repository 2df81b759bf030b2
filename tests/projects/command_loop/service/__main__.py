"""`python -m service upgrade`"""

import argparse

from alembic import command
from alembic.config import Config

from service import database

parser = argparse.ArgumentParser("service")
parser.add_argument("action", choices=["upgrade", "downgrade"])
arguments = parser.parse_args()

database.start()
if arguments.action == "upgrade":
    command.upgrade(Config("alembic.ini"), "head")
