#!/usr/bin/env python
"""portal's command: `python manage.py migrate`."""

import sys

from alembic import command
from alembic.config import Config

import portal


def main(arguments):
    if arguments[:1] != ["migrate"]:
        print("usage: manage.py migrate", file=sys.stderr)
        return 2
    with portal.application("portal") as app:
        print(f"migrating {app.name}")
        command.upgrade(Config("alembic.ini"), "head")
        print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
