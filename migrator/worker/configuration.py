"""Alembic's configuration, as its own command line would make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.worker.address import url_with_driver
from migrator.worker.orders import Orders

if TYPE_CHECKING:
    from alembic.config import Config


def config_of(orders: Orders) -> Config:
    """The file and section the orders name, with the target's address and `alembic upgrade`'s options."""
    from argparse import Namespace

    from alembic.config import Config

    words: dict[str, Any] = {"ini_section": orders["section"]}
    if orders.get("toml_file"):
        words["toml_file"] = orders["toml_file"]
    config = Config(orders.get("config_file"), **words)
    if orders.get("script_location"):
        config.set_main_option("script_location", orders["script_location"].replace("%", "%%"))
    url = url_with_driver(orders)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    # What `alembic upgrade` would have there; env.py files look at it.
    config.cmd_opts = Namespace(
        config=orders.get("config_file"),
        name=orders["section"],
        x=orders["x"] or None,
        raiseerr=False,
        quiet=False,
        sql=False,
        tag=None,
        revision=orders["target"],
    )
    return config
