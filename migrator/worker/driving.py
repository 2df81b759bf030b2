"""Alembic, driven: tell the history, discover what env.py configures, or upgrade.

Only replacing `configure` on the *instance* of the environment reaches `env.py`: a subclass is not what
`alembic.context` proxies.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from migrator.worker.configuration import config_of
from migrator.worker.driver import is_autocommit
from migrator.worker.errors import Refused
from migrator.worker.history import tell_history
from migrator.worker.orders import Orders
from migrator.worker.reports import Reports
from migrator.worker.sessions import Sessions
from migrator.worker.version_table import tell_version_table
from migrator.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory


class Work:
    """What one worker does: tell the history, discover what env.py configures, or upgrade."""

    def __init__(self, orders: Orders, report: Reports) -> None:
        """Get ready to follow these orders."""
        self._orders = orders
        self._report = report
        self.watch = Watch(report)
        self.sessions = Sessions(orders, report, self.watch)

    def run(self) -> None:
        """Load the project's Alembic and follow the orders."""
        import alembic
        import sqlalchemy

        self._report(
            "ready",
            alembic=alembic.__version__,
            sqlalchemy=sqlalchemy.__version__,
            python=".".join(map(str, sys.version_info[:3])),
        )
        config = config_of(self._orders)
        from alembic.script import ScriptDirectory

        script = ScriptDirectory.from_config(config)
        if self._orders["mode"] == "history":
            tell_history(script, self._report)
            return
        self.sessions.attach()
        if self._orders["mode"] == "discover":
            self._discover(config, script)
        else:
            self._upgrade(config, script)
        self._report("finished")

    def _discover(self, config: Config, script: ScriptDirectory) -> None:
        """Run env.py up to the point where it would migrate, and tell what it configured."""
        from alembic.runtime.environment import EnvironmentContext

        def nothing(_heads: Any, _context: Any) -> list[Any]:
            return []

        environment: Any = EnvironmentContext(
            config, script, fn=nothing, dont_mutate=True, destination_rev="head"
        )
        self._watch_configure(environment, extra={}, callbacks=())

        def run_migrations(**_options: Any) -> None:
            tell_version_table(environment.get_context(), self._report)

        environment.run_migrations = run_migrations
        with environment:
            script.run_env()

    def _upgrade(self, config: Config, script: ScriptDirectory) -> None:
        from alembic.runtime.environment import EnvironmentContext

        target: str = self._orders["target"]

        def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
            planned = script._upgrade_revs(target, heads)  # noqa: SLF001 - as Alembic's own `upgrade` does
            tell_version_table(context, self._report)
            self._report("planned", ids=[step.revision.revision for step in planned])
            for step in planned:
                self._settle(context)
                self.sessions.look(context.connection)
                self.watch.start(step.revision.revision)
                yield step
                self.watch.done()
            self._settle(context)

        def applied(**_facts: Any) -> None:
            self.watch.done()

        environment: Any = EnvironmentContext(
            config,
            script,
            fn=steps,
            as_sql=False,
            starting_rev=None,
            destination_rev=target,
            tag=None,
        )
        self._watch_configure(environment, extra=self._orders["configure"], callbacks=(applied,))
        with environment:
            script.run_env()
        self.watch.finish()

    def _settle(self, context: MigrationContext) -> None:
        """Between two revisions without an open transaction, what was being committed is committed."""
        self.watch.finish()
        connection: Any = context.connection
        if not connection.in_transaction() or is_autocommit(connection):
            self.watch.committing(connection)
            self.watch.finish()

    def _watch_configure(
        self, environment: Any, *, extra: dict[str, Any], callbacks: tuple[Any, ...]
    ) -> None:
        original = environment.configure

        def configure(connection: Any = None, **options: Any) -> None:
            if connection is None:
                raise Refused(
                    "offline", "env.py configured no connection: it may not have run in online mode"
                )
            if callbacks:
                theirs = _as_tuple(options.get("on_version_apply"))
                options["on_version_apply"] = (*theirs, *callbacks)
            options.update(extra)
            original(connection=connection, **options)
            self.watch.connection, self.watch.current = connection, None
            self._report("configured")
            self.sessions.look(connection)

        environment.configure = configure


def _as_tuple(callbacks: Any) -> tuple[Any, ...]:
    """As Alembic takes `on_version_apply`: nothing, one callable, or several."""
    if callbacks is None:
        return ()
    return tuple(callbacks) if isinstance(callbacks, (list, tuple, set, frozenset)) else (callbacks,)
