"""What is done to Alembic's environment: who configures it, and what it is to run, is seen from here.

The methods of the class are replaced: that reaches every `env.py` through `alembic.context`, also where the
project's own command makes the environment. (A subclass would not be what `alembic.context` proxies.)
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any, Callable

from migrator.worker.driver import is_autocommit
from migrator.worker.errors import Refused
from migrator.worker.models import tell_models
from migrator.worker.orders import Orders
from migrator.worker.reports import Reports
from migrator.worker.sessions import Sessions
from migrator.worker.snapshots import Snapshots
from migrator.worker.version_table import tell_version_table
from migrator.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import MigrationContext

_Fn = Callable[[Any, Any], Any]


class Attachment:
    """Follows one kind of orders (`mode`), each time `env.py` runs its migrations.

    `upgrade`: what the command itself wants to run; `replay` the same on a scratch database, with the schema
    told after each revision; `downgrade` to a target, likewise; `stamp`: the rows alone; `sql`: the text of
    what would be run; `models`: in what the database is not what they say; `discover`: nothing but where the
    version rows are.
    """

    def __init__(
        self,
        orders: Orders,
        report: Reports,
        sessions: Sessions,
        watch: Watch,
        tell_failure: Callable[[BaseException], None],
    ) -> None:
        """Get ready to follow these orders."""
        self.has_finished = False
        self._tell_failure = tell_failure
        self._orders = orders
        self._mode: str = orders["mode"]
        self._report = report
        self._sessions = sessions
        self._watch = watch
        self._snapshots = Snapshots(orders["snapshot"], report) if orders.get("snapshot") else None
        self._sql = StringIO()

    def attach(self) -> None:
        """See every `configure` and `run_migrations` from now on."""
        from alembic.runtime.environment import EnvironmentContext

        environment_class: Any = EnvironmentContext
        configure, run = environment_class.configure, environment_class.run_migrations

        def watched_configure(
            environment: Any, connection: Any = None, *further: Any, **options: Any
        ) -> None:
            self._before_configure(environment, connection, options)
            configure(environment, connection, *further, **options)
            self._after_configure(connection)

        def watched_run(environment: Any, **options: Any) -> None:
            if self._mode == "discover":
                self._report_version_table(environment.get_context())
            else:
                run(environment, **options)

        environment_class.configure = watched_configure
        environment_class.run_migrations = watched_run
        self._see_the_end()

    def _see_the_end(self) -> None:
        """Tell how `env.py` ended; whoever had it run may swallow what it raised."""
        from alembic.script import ScriptDirectory

        script_class: Any = ScriptDirectory
        run_env = script_class.run_env

        def watched_env(script: Any) -> None:
            try:
                run_env(script)
            except BaseException as error:
                self._tell_failure(error)
                raise
            self._watch.finish()
            self.has_finished = True
            self._report("finished")

        script_class.run_env = watched_env

    def _before_configure(self, environment: Any, connection: Any, options: dict[str, Any]) -> None:
        if connection is None:
            raise Refused("offline", "env.py configured no connection: it may not have run in online mode")
        if options.get("upgrade_token", "upgrades") != "upgrades":
            raise Refused(
                "several",
                "this history migrates several databases at once (Alembic's template `multidb`), of which "
                "one run is given one",
            )
        given = environment.context_opts
        if fn := given.get("fn"):  # without one, only a look at the database was meant
            given["fn"] = self._steps(getattr(fn, "original", fn))
        if self._mode == "sql":
            from alembic.runtime.migration import MigrationContext

            given["as_sql"] = False
            heads = MigrationContext.configure(connection, opts={**given, **options}).get_current_heads()
            given.update(as_sql=True, starting_rev=heads, output_buffer=self._sql)
            return
        theirs = _as_tuple(options.get("on_version_apply"))
        options["on_version_apply"] = (*theirs, self._applied)
        options.update(self._orders["configure"])

    def _after_configure(self, connection: Any) -> None:
        self._watch.connection, self._watch.current = connection, None
        self._report("configured")
        self._sessions.look(connection)

    def _applied(self, **_facts: Any) -> None:
        self._watch.done()

    def _steps(self, original: _Fn) -> _Fn:
        """Stand between Alembic and what it would run."""

        def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
            self._report_version_table(context)
            if self._mode == "stamp":
                yield from context.script._stamp_revs(  # type: ignore[union-attr]  # noqa: SLF001
                    tuple(self._orders["only"]), heads
                )
                return
            if self._mode == "models":
                tell_models(context, self._report)
                return
            planned = self._planned(original, heads, context)
            self._report("planned", ids=[step.revision.revision for step in planned])
            follow = self._told if self._mode == "sql" else self._followed
            yield from follow(planned, context)

        steps.original = original  # type: ignore[attr-defined]  # a second `configure` starts from it again
        return steps

    def _planned(self, original: _Fn, heads: Any, context: MigrationContext) -> list[Any]:
        """The steps, less those that are not to be taken now; what is wanted holds its own ancestors."""
        if self._mode == "downgrade":
            script: Any = context.script
            _let_downgrades_fail_in_turn(script)
            if not self._is_beyond(script, heads):
                return []
            planned = script._downgrade_revs(self._orders["target"], heads)  # noqa: SLF001 - as `downgrade`
        else:
            planned = original(heads, context)
        only = self._orders.get("only")
        return [one for one in planned if only is None or one.revision.revision in only]

    def _is_beyond(self, script: Any, heads: Any) -> bool:
        """Whether any of what is to be taken back is here: of several version tables, one may be behind."""
        there = {one.revision for one in script.iterate_revisions(heads, "base")} if heads else set()
        return not there.isdisjoint(self._orders["only"])

    def _followed(self, planned: list[Any], context: MigrationContext) -> Iterator[Any]:
        if self._snapshots:
            self._snapshots.take(context.connection, None)
        for step in planned:
            self._settle(context)
            self._sessions.look(context.connection)
            self._watch.start(step.revision.revision, step.revision.path)
            yield step
            self._watch.done()
            if self._snapshots:
                self._snapshots.take(context.connection, step.revision.revision)
        self._settle(context)

    def _told(self, planned: list[Any], context: MigrationContext) -> Iterator[Any]:
        for step in planned:
            self._watch.current = step.revision.revision
            begun = self._sql.tell()
            yield step
            text = self._sql.getvalue()[begun:]
            if _doubles_percents(context):
                text = text.replace("%%", "%")
            self._report("sql", id=step.revision.revision, text=text)
            self._watch.current = None

    def _settle(self, context: MigrationContext) -> None:
        """Between two revisions without an open transaction, what was being committed is committed."""
        self._watch.finish()
        connection: Any = context.connection
        if not connection.in_transaction() or is_autocommit(connection):
            self._watch.committing(connection)
            self._watch.finish()

    def _report_version_table(self, context: MigrationContext) -> None:
        table = tell_version_table(context, self._watch.connection, self._report)
        self._watch.record.version_table = table


def _let_downgrades_fail_in_turn(script: Any) -> None:
    """A script without a `downgrade` would fail the whole plan: let it fail when its turn comes."""

    def downgrade() -> None:
        raise NotImplementedError("there is no function downgrade()")

    for one in script.walk_revisions():
        if not hasattr(one.module, "downgrade"):
            one.module.downgrade = downgrade


def _doubles_percents(context: MigrationContext) -> bool:
    """Whether SQL was written for a driver that takes a percent sign for the beginning of a parameter."""
    return bool(getattr(context.dialect.identifier_preparer, "_double_percents", False))


def _as_tuple(callbacks: Any) -> tuple[Any, ...]:
    """As Alembic takes `on_version_apply`: nothing, one callable, or several."""
    if callbacks is None:
        return ()
    return tuple(callbacks) if isinstance(callbacks, (list, tuple, set, frozenset)) else (callbacks,)
