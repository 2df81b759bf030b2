"""Used by the tests: `upgrade(connection)`."""

from alembic import command, config


def upgrade(connection):
    cfg = config.Config("alembic.ini")
    cfg.attributes["connection"] = connection
    command.upgrade(cfg, "head")
