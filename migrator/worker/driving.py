"""Alembic, driven as its own `upgrade` does: the project's configuration, its scripts, its `env.py`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable

from migrator.worker.configuration import config_of
from migrator.worker.history import tell_history
from migrator.worker.orders import Orders
from migrator.worker.reports import Reports

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


def drive(orders: Orders, report: Reports, attach: Callable[[], None]) -> None:
    """Load the project's Alembic and run its `env.py`; `attach` sees to what happens there."""
    tell_versions(report)
    config = config_of(orders)
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    if orders["mode"] == "history":
        tell_history(script, report)
        return
    attach()
    target: str = orders["target"]

    def upgrade(heads: Any, _context: MigrationContext) -> Any:
        return script._upgrade_revs(target, heads)  # noqa: SLF001 - as Alembic's own `upgrade` does

    with EnvironmentContext(
        config, script, fn=upgrade, as_sql=False, starting_rev=None, destination_rev=target, tag=None
    ):
        script.run_env()


def tell_versions(report: Reports) -> None:
    """Say that the worker is there, and with which libraries."""
    import alembic
    import sqlalchemy

    report(
        "ready",
        alembic=alembic.__version__,
        sqlalchemy=sqlalchemy.__version__,
        python=".".join(map(str, sys.version_info[:3])),
    )
