"""Every session of the process: its limits, its fence, who leads, and what is run on it."""

from __future__ import annotations

from typing import Any, Callable

from migrator.worker.address import redirect, redirect_drivers
from migrator.worker.concurrently import Concurrently
from migrator.worker.driver import (
    ask,
    ask_through,
    client_side_pid,
    is_autocommit,
    keep_alive,
    literal,
    way_of,
)
from migrator.worker.errors import Refused, Stopped
from migrator.worker.orders import Orders
from migrator.worker.reports import Reports
from migrator.worker.statements import (
    cluster_wide,
    ending_of,
    goes_back,
    is_concurrent,
    is_data,
    left_unvalidated,
    savepoint_of,
)
from migrator.worker.watch import Watch

_BACKEND_START = (
    "SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)


class Sessions:
    """Sees every connection any engine of the process opens, and fences in those to the target."""

    def __init__(self, orders: Orders, report: Reports, watch: Watch) -> None:
        """Fence in by these orders."""
        self._set = orders["parameters"]
        self._keepalives: dict[str, int] = orders["keepalives"]
        self._fence = orders["fence_sql"]
        self._look = orders["look_sql"]
        self._identity = orders["identity_sql"]
        self._target = orders["identity"]
        self._options: str = orders["libpq_options"]
        self._role: str | None = orders.get("role")
        self._way_through_pooler: list[Any] | None = orders.get("way_through_pooler")
        self._scratch: dict[str, str] | None = orders.get("scratch")
        self._report = report
        self._watch = watch
        self._lock_timeout: str | None = orders["parameters"].get("lock_timeout")
        self._concurrently_lock_timeout: str = orders["concurrently_lock_timeout"]
        self._data_lock_timeout: str | None = orders.get("data_lock_timeout", self._lock_timeout)
        self._concurrently = Concurrently(
            orders.get("lock_patience_seconds", 0.0), orders["being_built_sql"], report, self._stop_if_told
        )
        self.stopping = False
        self.last_error: BaseException | None = None

    def attach(self) -> None:
        """Listen to every engine there is and will be."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        if self._scratch is not None:
            redirect_drivers(self._scratch)
        event.listen(Engine, "do_connect", self._connecting)
        event.listen(Engine, "connect", self._connected)
        event.listen(Engine, "commit", self._committing)
        event.listen(Engine, "rollback", self._rolled_back)
        event.listen(Engine, "handle_error", self._failed)
        event.listen(Engine, "before_cursor_execute", self._executing)
        event.listen(Engine, "do_execute", self._execute)
        event.listen(Engine, "do_execute_no_params", self._execute_bare)
        event.listen(Engine, "after_cursor_execute", self._executed)

    def _connecting(self, dialect: Any, _record: Any, arguments: Any, words: dict[str, Any]) -> None:
        """Lead every session to the scratch database, whatever address it was made for.

        Our PGOPTIONS are left to sessions that SQLAlchemy does not open: poolers refuse unknown ones.
        """
        if self._scratch is not None:
            redirect(self._scratch, dialect.driver, arguments, words)
        if dialect.driver.startswith("psycopg"):
            words.setdefault("options", self._options)

    def _connected(self, dbapi_connection: Any, record: Any) -> None:
        """Set limits, take the fence, look who leads; leave no transaction open behind us."""
        driver = type(dbapi_connection).__module__
        if not any(name in driver for name in ("psycopg", "asyncpg")):
            self._report("stranger", driver=driver)
            return
        keep_alive(dbapi_connection, self._keepalives)
        pid, start, identity = ask(
            dbapi_connection, f"SELECT pg_backend_pid(), ({_BACKEND_START}), ({self._identity})"
        )
        ours, pooled = identity == self._target, client_side_pid(dbapi_connection) != pid
        if self._scratch is not None and not ours:
            dbapi_connection.rollback()
            raise Refused(
                "scratch",
                f"env.py reached {identity.rsplit('/', 2)[0]} by a way that could not be redirected",
            )
        if ours and pooled and way_of(dbapi_connection) != self._way_through_pooler:
            dbapi_connection.rollback()
            raise Refused("pooler", self._why_not_pooled())
        if ours or not pooled:
            self._limit(dbapi_connection)
        if ours and self._role is not None:
            ask(dbapi_connection, f"SELECT set_config('role', {literal(self._role)}, false)")
        fenced = ours and (self._look is None or self._fenced(dbapi_connection))
        dbapi_connection.commit()
        record.info["migrator"] = {"fenced": fenced, "identity": identity}
        self._report("session", pid=pid, start=start, ours=ours, identity=identity)
        if ours and not fenced:
            raise Refused("leader", "another runner leads: this session may not migrate")

    def _why_not_pooled(self) -> str:
        if self._way_through_pooler is None:
            return "env.py's session goes through a pooler, which would hand it to others"
        return "env.py's session goes through a pooler by another way than the one that was proven to be safe"

    def _limit(self, dbapi_connection: Any) -> None:
        sql = ", ".join(f"({literal(name)}, {literal(value)})" for name, value in self._set.items())
        # Joining pg_settings leaves out what an older server does not know.
        ask(
            dbapi_connection,
            f"SELECT count(set_config(s.name, v.value, false)) FROM (VALUES {sql}) v(name, value) "  # noqa: S608
            "JOIN pg_settings s ON s.name = v.name",
        )

    def _fenced(self, dbapi_connection: Any) -> bool:
        has_fence = bool(ask(dbapi_connection, self._fence)[0])
        return has_fence and bool(ask(dbapi_connection, self._look)[0])

    def look(self, connection: Any) -> None:
        """Raise unless this SQLAlchemy connection is the target's, fenced in, and our runner still leads."""
        self._stop_if_told()
        about = connection.info.get("migrator")
        if about is None or not about["fenced"]:
            where = about["identity"].rsplit("/", 2)[0] if about else "a database that cannot be watched"
            raise Refused(
                "database", f"env.py migrates {where}, which is not the database this run was given"
            )
        if self._look is not None and not ask_through(connection, self._look)[0]:
            raise Refused("leader", "the leader lock was lost: this session may not go on")

    def _committing(self, connection: Any, statement: str | None = None) -> None:
        if self._is_fenced(connection):
            self.look(connection)
        self._watch.committing(connection, statement)

    def _executing(
        self, connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any
    ) -> None:
        self._watch.settled(connection)
        self._stop_if_told()
        if self._scratch is not None and (what := cluster_wide(statement)):
            raise Refused("cluster", f"{what} changes the whole server, not just the scratch database")
        if is_autocommit(connection):
            if self._is_fenced(connection):
                self.look(connection)
            self._watch.autocommitting(connection, statement)
        elif ending_of(statement) == "commit":
            self._committing(connection, statement)
        if not goes_back(statement):  # a transaction that failed takes nothing else
            self._set_lock_timeout(connection, self._limit_of(statement, connection))

    def _limit_of(self, statement: str, connection: Any) -> str | None:
        """How long it may wait for a lock.

        CONCURRENTLY waits for old transactions and blocks nobody: a short limit would only spoil it. Changing
        rows waits for rows, not for tables: there it is the longest at once.
        """
        if is_concurrent(statement, connection):
            return self._concurrently_lock_timeout
        return self._data_lock_timeout if is_data(statement) else self._lock_timeout

    def _execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
        return self._sent(
            statement, context, lambda: context.dialect.do_execute(cursor, statement, parameters, context)
        )

    def _execute_bare(self, cursor: Any, statement: str, context: Any) -> bool | None:
        return self._sent(
            statement, context, lambda: context.dialect.do_execute_no_params(cursor, statement, context)
        )

    def _sent(self, statement: str, context: Any, send: Callable[[], None]) -> bool | None:
        """Whether we sent it ourselves; else SQLAlchemy does."""
        connection = context.root_connection
        if (
            not Concurrently.concerns(statement)
            or not self._is_fenced(connection)
            or not is_autocommit(connection)
        ):
            return None
        self._concurrently.send(connection.connection, statement, send)
        return True

    def _stop_if_told(self) -> None:
        if self.stopping:
            raise Stopped("stopped by the runner")

    def _executed(
        self, connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any
    ) -> None:
        ending = ending_of(statement)
        if self._is_fenced(connection) and (tables := left_unvalidated(statement)):
            self._report("unvalidated", tables=tables)
        if savepoint := savepoint_of(statement):
            self._watch.went_by(connection, *savepoint)
        if ending == "commit":
            self._watch.returned(connection)
        elif ending == "rollback":
            self._watch.rolled_back(connection)
        else:
            self._watch.executed(connection, statement)
        if goes_back(statement):
            self._forget_lock_timeout(connection)

    def _rolled_back(self, connection: Any) -> None:
        self._watch.rolled_back(connection)
        self._forget_lock_timeout(connection)

    def _failed(self, context: Any) -> None:
        self.last_error = context.sqlalchemy_exception or context.original_exception
        self._watch.failed(context.connection)

    def _set_lock_timeout(self, connection: Any, milliseconds: str | None) -> None:
        """Change it where it is another one."""
        if milliseconds is None or not self._is_fenced(connection):
            return
        about = connection.info["migrator"]
        if about.get("lock_timeout", self._lock_timeout) != milliseconds:
            ask_through(connection, f"SELECT set_config('lock_timeout', {literal(milliseconds)}, false)")
            about["lock_timeout"] = milliseconds

    @staticmethod
    def _forget_lock_timeout(connection: Any) -> None:
        """What was undone takes with it what we had set meanwhile."""
        if connection.closed or connection.invalidated:
            return
        about = connection.info.get("migrator", {})
        if "lock_timeout" in about:
            about["lock_timeout"] = None

    @staticmethod
    def _is_fenced(connection: Any) -> bool:
        return bool(connection.info.get("migrator", {}).get("fenced"))
