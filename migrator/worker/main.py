"""The worker: loads the project's Alembic and runs its code, once per attempt.

It runs under the project's interpreter (Python 3.9 or newer) and imports nothing but the standard library and
the Alembic (1.8 or newer) and SQLAlchemy (1.4 to 2.1) it finds there.

It is started with two file descriptors: one to read (a line of JSON with its orders; afterwards a line
`stop`, or the end of the stream when the runner is gone), one to write reports to, a line of JSON each, with
the kind of report under `is`. Standard output and standard error belong to the user's code.

Traps it is built around:

- SQL on the project's own connection before its transaction makes Alembic commit nothing and raise nothing.
  So every statement of ours goes through the driver, and is committed there when no transaction is open.
- Only replacing `configure` on the *instance* reaches `env.py`: a subclass is not what `alembic.context`
  proxies.
- The version row is written before the commit. A revision is reported as committed only once the commit that
  contains it has returned, which the next thing that happens on the connection tells; not after a rollback.
- A revision can commit behind SQLAlchemy's back: `op.execute("COMMIT")`, or an engine in autocommit.
- User code may fork: a child that keeps the report pipe would have the runner listen for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

_LIBPQ_ONLY = frozenset(
    "application_name channel_binding client_encoding connect_timeout fallback_application_name gssencmode "
    "keepalives keepalives_count keepalives_idle keepalives_interval options sslcert sslcrl sslkey "
    "sslrootcert tcp_user_timeout".split()
)
_LONGEST_STATEMENT = 2000
_SQLSTATE_LENGTH = 5
_BACKEND_START = (
    "SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
# What may hold any word: literals, comments, bodies of functions.
_OPAQUE = re.compile(
    r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\bBEGIN\s+ATOMIC\b.*\bEND\b",
    re.IGNORECASE | re.DOTALL,
)
_TELLING = re.compile(r"\b(?:COMMIT|END|ROLLBACK|ABORT|CONCURRENTLY)\b", re.IGNORECASE)
_ENDING = re.compile(
    r"(?:^|;)\s*(?:(?P<commit>COMMIT|END)|ROLLBACK|ABORT)\b"
    r"(?!\s+(?:PREPARED|(?:(?:WORK|TRANSACTION)\s+)?TO)\b)",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(r"(?P<refresh>\bREFRESH\b.*)?\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)
_PARAMETER_VALUE = re.compile(r"(invalid input for query argument \$\d+).*", re.DOTALL)
_IDLE, _BEGUN = 0, 2  # psycopg2's TRANSACTION_STATUS_IDLE and STATUS_BEGIN

Orders = dict[str, Any]


class Refused(Exception):
    """A session may not migrate: it is not fenced in, or somebody else leads."""

    def __init__(self, why: str, message: str) -> None:
        """Say why in one word for the runner, and in a sentence."""
        super().__init__(message)
        self.why = why


class Stopped(Exception):
    """The runner told us to stop."""


class Reports:
    """Writes what happens to the runner; threads of the user's code may be about."""

    def __init__(self, descriptor: int) -> None:
        """Write to this file descriptor."""
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()

    def __call__(self, kind: str, **facts: Any) -> None:
        """Report one fact, whole."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        line = json.dumps(dict({"is": kind}, **facts), default=str).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(descriptor, line) :]

    def leave(self) -> None:
        """Say nothing any more, and let go of the pipe: this is a forked child."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Watch:
    """What is known of the revisions of this attempt: done, being committed, committed."""

    def __init__(self, report: Reports) -> None:
        """Nothing has been started yet."""
        self.connection: Any = None  # the one given to configure()
        self.current: str | None = None  # the revision whose upgrade() is running
        self._report = report
        self._done: list[str] = []
        self._committing: list[str] = []
        self._savepoints: dict[str, int] = {}  # name → how many were done before it
        self._started = 0.0
        self._partial = False

    def start(self, revision: str) -> None:
        """The revision's upgrade() is about to run."""
        self.current, self._started, self._partial = revision, time.monotonic(), False
        self._report("started", id=revision)

    def done(self) -> None:
        """The version row is written, in a transaction that may still be open."""
        if self.current is not None:
            seconds = time.monotonic() - self._started
            self._report("applied", id=self.current, seconds=round(seconds, 3))
            self._done.append(self.current)
            self.current = None

    def committing(self, connection: Any) -> None:
        """A commit is about to be sent."""
        if self._is_ours(connection):
            self._committing, self._done = self._committing + self._done, []
            self._mark_partial()

    def failed(self, connection: Any) -> None:
        """Something failed on the connection: if it was a commit, nothing is committed as far as we know."""
        if self._is_ours(connection):
            self._committing = []

    def rolled_back(self, connection: Any) -> None:
        """What is done and not committed is undone."""
        if self._is_ours(connection):
            self.finish()
            self._done = []

    def saved(self, connection: Any, savepoint: str) -> None:
        """A savepoint is set: rolling back to it leaves what was done before."""
        if self._is_ours(connection):
            self._savepoints[savepoint] = len(self._done)

    def rolled_back_to(self, connection: Any, savepoint: str) -> None:
        """What was done since the savepoint is undone."""
        if self._is_ours(connection):
            del self._done[self._savepoints.get(savepoint, 0) :]

    def autocommitting(self, connection: Any) -> None:
        """A statement that commits itself is about to be sent."""
        if self._is_ours(connection):
            self._mark_partial()

    def settled(self, connection: Any) -> None:
        """Something else happens on the connection: the commit before it has returned."""
        if self._committing and self._is_ours(connection):
            self.finish()

    def finish(self) -> None:
        """Whatever was being committed is."""
        if self._committing:
            self._report("committed", ids=self._committing)
            self._committing = []

    def _mark_partial(self) -> None:
        if self.current is not None and not self._partial:
            self._partial = True
            self._report("partial", id=self.current)

    def _is_ours(self, connection: Any) -> bool:
        """Branched or option-carrying copies of a connection share the driver's connection."""
        if self.connection is None:
            return False
        try:
            return connection is self.connection or connection.connection is self.connection.connection
        except Exception:  # noqa: BLE001 - a closed or invalidated connection, by whatever error it says so
            return False


class Sessions:
    """Sees every connection any engine of the process opens, and fences in those to the target."""

    def __init__(self, orders: Orders, report: Reports, watch: Watch) -> None:
        """Fence in by these orders."""
        self._set = orders["parameters"]
        self._fence = orders["fence_sql"]
        self._look = orders["look_sql"]
        self._identity = orders["identity_sql"]
        self._target = orders["identity"]
        self._options: str = orders["libpq_options"]
        self._report = report
        self._watch = watch
        self._lock_timeout: str | None = orders["parameters"].get("lock_timeout")
        self._concurrently_lock_timeout: str = orders["concurrently_lock_timeout"]
        self.stopping = False

    def attach(self) -> None:
        """Listen to every engine there is and will be."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "do_connect", self._connecting)
        event.listen(Engine, "connect", self._connected)
        event.listen(Engine, "commit", self._committing)
        event.listen(Engine, "rollback", self._watch.rolled_back)
        event.listen(Engine, "savepoint", self._watch.saved)
        event.listen(Engine, "rollback_savepoint", self._rolled_back_to)
        event.listen(Engine, "handle_error", self._failed)
        event.listen(Engine, "before_cursor_execute", self._executing)
        event.listen(Engine, "after_cursor_execute", self._executed)

    def _connecting(self, dialect: Any, _record: Any, _arguments: Any, words: dict[str, Any]) -> None:
        """Leave our PGOPTIONS to sessions that SQLAlchemy does not open: poolers refuse unknown ones."""
        if dialect.driver.startswith("psycopg"):
            words.setdefault("options", self._options)

    def _connected(self, dbapi_connection: Any, record: Any) -> None:
        """Set limits, take the fence, look who leads; leave no transaction open behind us."""
        driver = type(dbapi_connection).__module__
        if not any(name in driver for name in ("psycopg", "asyncpg")):
            self._report("stranger", driver=driver)
            return
        pid, start, identity = _ask(
            dbapi_connection, f"SELECT pg_backend_pid(), ({_BACKEND_START}), ({self._identity})"
        )
        ours, pooled = identity == self._target, _client_side_pid(dbapi_connection) != pid
        if ours and pooled:
            dbapi_connection.rollback()
            raise Refused("pooler", "env.py's session goes through a pooler, which would hand it to others")
        if not pooled:
            self._limit(dbapi_connection)
        fenced = ours and (self._look is None or self._fenced(dbapi_connection))
        dbapi_connection.commit()
        record.info["migrator"] = {"fenced": fenced, "identity": identity}
        self._report("session", pid=pid, start=start, ours=ours, identity=identity)
        if ours and not fenced:
            raise Refused("leader", "another runner leads: this session may not migrate")

    def _limit(self, dbapi_connection: Any) -> None:
        sql = ", ".join(f"({_literal(name)}, {_literal(value)})" for name, value in self._set.items())
        # Joining pg_settings leaves out what an older server does not know.
        _ask(
            dbapi_connection,
            f"SELECT count(set_config(s.name, v.value, false)) FROM (VALUES {sql}) v(name, value) "  # noqa: S608
            "JOIN pg_settings s ON s.name = v.name",
        )

    def _fenced(self, dbapi_connection: Any) -> bool:
        has_fence = bool(_ask(dbapi_connection, self._fence)[0])
        return has_fence and bool(_ask(dbapi_connection, self._look)[0])

    def look(self, connection: Any) -> None:
        """Raise unless this SQLAlchemy connection is the target's, fenced in, and our runner still leads."""
        if self.stopping:
            raise Stopped("stopped by the runner")
        about = connection.info.get("migrator")
        if about is None or not about["fenced"]:
            where = about["identity"].rsplit("/", 2)[0] if about else "a database that cannot be watched"
            raise Refused(
                "database", f"env.py migrates {where}, which is not the database this run was given"
            )
        if self._look is not None and not _ask_through(connection, self._look)[0]:
            raise Refused("leader", "the leader lock was lost: this session may not go on")

    def _committing(self, connection: Any) -> None:
        if self._is_fenced(connection):
            self.look(connection)
        self._watch.committing(connection)

    def _executing(
        self, connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any
    ) -> None:
        self._watch.settled(connection)
        if self.stopping:
            raise Stopped("stopped by the runner")
        if _ending(statement) == "commit":
            self._committing(connection)
        elif _is_autocommit(connection):
            if self._is_fenced(connection):
                self.look(connection)
            self._watch.autocommitting(connection)
        if _is_concurrent(statement, connection):
            self._set_lock_timeout(connection, self._concurrently_lock_timeout)

    def _executed(
        self, connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: Any
    ) -> None:
        ending = _ending(statement)
        if ending == "commit":
            self._watch.settled(connection)
        elif ending == "rollback":
            self._watch.rolled_back(connection)
        if _is_concurrent(statement, connection):
            self._set_lock_timeout(connection, self._lock_timeout)

    def _rolled_back_to(self, connection: Any, name: str, _context: Any) -> None:
        self._watch.rolled_back_to(connection, name)

    def _failed(self, context: Any) -> None:
        self._watch.failed(context.connection)

    def _set_lock_timeout(self, connection: Any, milliseconds: str | None) -> None:
        """CONCURRENTLY waits for old transactions and blocks nobody: a short limit would only spoil it."""
        if milliseconds is not None and self._is_fenced(connection):
            _ask_through(connection, f"SELECT set_config('lock_timeout', {_literal(milliseconds)}, false)")

    @staticmethod
    def _is_fenced(connection: Any) -> bool:
        return bool(connection.info.get("migrator", {}).get("fenced"))


def _is_autocommit(connection: Any) -> bool:
    """Whether the next statement commits itself.

    The driver knows: an engine's own isolation level is in no option. After a `COMMIT` that was executed as
    text, psycopg2 and asyncpg still believe their transaction to be open, and begin none.
    """
    adapted = connection.connection
    if getattr(adapted, "autocommit", False):
        return True
    driver: Any = getattr(adapted, "_connection", None)
    if hasattr(driver, "is_in_transaction"):
        return adapted._transaction is not None and not driver.is_in_transaction()  # noqa: SLF001 - as above
    if hasattr(adapted, "get_transaction_status"):
        return bool(adapted.status == _BEGUN and adapted.get_transaction_status() == _IDLE)
    return False


def _client_side_pid(dbapi_connection: Any) -> int:
    """The backend's pid as the startup packet said it; a pooler says another one."""
    driver = getattr(dbapi_connection, "_connection", dbapi_connection)
    ask = getattr(driver, "get_server_pid", None) or getattr(driver, "get_backend_pid", None)
    return int(ask() if ask else driver.info.backend_pid)


def _ending(statement: str) -> str | None:
    """Whether a statement ends the transaction by itself: `commit`, `rollback`, or neither."""
    endings = list(_ENDING.finditer(_bare(statement)))
    if any(one["commit"] for one in endings):
        return "commit"
    return "rollback" if endings else None


def _is_concurrent(statement: str, connection: Any) -> bool:
    """Whether it waits for others without blocking them; a REFRESH does so only outside a transaction."""
    found = _CONCURRENTLY.search(_bare(statement))
    return found is not None and (not found["refresh"] or _is_autocommit(connection))


def _bare(statement: str) -> str:
    """The statement's own words, if any of them matters here."""
    return _OPAQUE.sub(" ", statement).lstrip() if _TELLING.search(statement) else ""


def main() -> NoReturn:
    """Take orders, work, report how it ended, and end."""
    control, out = int(sys.argv[1]), int(sys.argv[2])
    for descriptor in (control, out):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
    sys.argv = ["alembic"]
    _leave_own_folder()
    stream = os.fdopen(control, "rb", buffering=0)
    orders = json.loads(_line(stream))
    report = Reports(out)
    os.register_at_fork(after_in_child=report.leave)
    os.register_at_fork(after_in_child=stream.close)
    work = Work(orders, report)
    threading.Thread(target=_obey, args=(stream, work.sessions), daemon=True).start()
    status = 1
    try:
        work.run()
        status = 0
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit() included
        report("failed", **_failure(error, work.watch.current))
    for printed in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # user code may have closed or replaced it
            printed.flush()
    # Threads and atexit handlers of the user's code must not keep us: all there was to say is said.
    os._exit(status)


def _leave_own_folder() -> None:
    """Python put the folder of this file first; the project's packages must not meet it.

    Many projects expect the working directory, as `python -m alembic` gives it.
    """
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != own]
    sys.path.append(os.getcwd())


def _line(stream: BinaryIO) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = stream.read(65536)
        if not piece:
            os._exit(1)
        line += piece
    return line


def _obey(stream: BinaryIO, sessions: Sessions) -> NoReturn:
    """End with the runner: a session that nobody watches must not go on."""
    while stream.read(64):
        sessions.stopping = True
    os._exit(1)


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
        config = _config(self._orders)
        from alembic.script import ScriptDirectory

        script = ScriptDirectory.from_config(config)
        if self._orders["mode"] == "history":
            _tell_history(script, self._report)
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
            _tell_version_table(environment.get_context(), self._report)

        environment.run_migrations = run_migrations
        with environment:
            script.run_env()

    def _upgrade(self, config: Config, script: ScriptDirectory) -> None:
        from alembic.runtime.environment import EnvironmentContext

        target: str = self._orders["target"]

        def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
            planned = script._upgrade_revs(target, heads)  # noqa: SLF001 - as Alembic's own `upgrade` does
            _tell_version_table(context, self._report)
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
        if not connection.in_transaction() or _is_autocommit(connection):
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


def _config(orders: Orders) -> Config:
    from argparse import Namespace

    from alembic.config import Config

    words: dict[str, Any] = {"ini_section": orders["section"]}
    if orders.get("toml_file"):
        words["toml_file"] = orders["toml_file"]
    config = Config(orders.get("config_file"), **words)
    if orders.get("script_location"):
        config.set_main_option("script_location", orders["script_location"].replace("%", "%%"))
    url = _with_driver(orders)
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


def _with_driver(orders: Orders) -> str:
    """The target's URL with the driver the project asks for, if it is installed, else the first that is."""
    asked = (orders.get("driver"), _driver_of(orders.get("url_driver") or ""))
    wanted = [name for name in (*asked, *_candidates(orders)) if name]
    driver = next((name for name in wanted if _is_installed(name)), None)
    url: str = orders["url"]
    if driver is None:
        return url
    if driver == "asyncpg":
        url = _for_asyncpg(url)
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


def _for_asyncpg(url: str) -> str:
    """SQLAlchemy hands every word of the query to asyncpg, which knows few of libpq's."""
    base, _, query = url.partition("?")
    words = [word.partition("=") for word in query.split("&") if word]
    kept = [
        f"{'ssl' if name == 'sslmode' else name}={value}"
        for name, _, value in words
        if name not in _LIBPQ_ONLY
    ]
    return base + ("?" if kept else "") + "&".join(kept)


def _driver_of(scheme: str) -> str | None:
    return scheme.split("+", 1)[1] if scheme.startswith("postgresql+") else None


def _candidates(orders: Orders) -> tuple[str, ...]:
    """`create_async_engine` needs a driver that can be awaited; psycopg 3 serves both."""
    if orders.get("is_async"):
        return ("psycopg", "asyncpg", "psycopg2")
    return ("psycopg", "psycopg2", "asyncpg")


def _is_installed(name: str) -> bool:
    import importlib.util

    import sqlalchemy

    if name == "psycopg" and sqlalchemy.__version__.startswith("1."):
        return False
    return importlib.util.find_spec(name) is not None


def _tell_history(script: ScriptDirectory, report: Reports) -> None:
    revisions = [
        {
            "id": one.revision,
            "down": _listed(one.down_revision),
            "depends_on": _listed(one.dependencies),
            # Alembic adds inherited labels to the other attribute.
            "labels": sorted(getattr(one, "_orig_branch_labels", one.branch_labels)),
            "doc": one.doc or "",
            "path": one.path,
        }
        for one in script.walk_revisions()
    ]
    report("history", revisions=revisions)


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _tell_version_table(context: MigrationContext, report: Reports) -> None:
    """Name the version table with the schema it really is in, or will be in."""
    name, schema = context.version_table, context.version_table_schema
    if schema is None:
        quoted = '"' + name.replace('"', '""') + '"'
        where = (
            "SELECT coalesce("  # noqa: S608
            f"(SELECT relnamespace FROM pg_class WHERE oid = to_regclass({_literal(quoted)})), "
            "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))::regnamespace::text"
        )
        schema = _unquoted(_ask_through(context.connection, where)[0])
    report("version_table", name=name, schema=schema)


def _unquoted(name: str | None) -> str | None:
    if name is not None and name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def _ask_through(connection: Any, sql: str) -> Any:
    """Ask on the driver's connection below a SQLAlchemy connection, leaving its transaction as it was."""
    driver = connection.connection
    row = _ask(driver, sql)
    if not connection.in_transaction():
        driver.commit()
    return row


def _ask(dbapi_connection: Any, sql: str) -> Any:
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(sql)
        return cursor.fetchone()
    finally:
        cursor.close()


def _literal(value: str) -> str:
    # Colons and percent signs mean something to some drivers; none of our values has them.
    text = value.replace("'", "''")
    return f"'{text}'"


def _failure(error: BaseException, revision: str | None) -> dict[str, Any]:
    """What the runner needs to judge a failure; no parameters, no DETAIL: those can hold row values."""
    chain = list(_chain(error))
    state = next((one for one in map(_sqlstate, chain) if one), None)
    statement = next(filter(None, (getattr(one, "statement", None) for one in chain)), None)
    refused = next((one for one in chain if isinstance(one, Refused)), None)
    return {
        "revision": revision,
        "type": f"{type(error).__module__}.{type(error).__name__}",
        "message": _message(chain),
        "sqlstate": state,
        "statement": None if statement is None else " ".join(str(statement).split())[:_LONGEST_STATEMENT],
        "is_driver_error": _is_session_lost(chain),
        "refused": refused.why if refused else None,
        "exit": isinstance(error, SystemExit),
        "where": _where(error),
    }


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        orig = getattr(error, "orig", None)
        if orig is not None and id(orig) not in seen:
            yield orig
        error = error.__cause__ or error.__context__


def _sqlstate(error: BaseException) -> str | None:
    for name in ("sqlstate", "pgcode"):
        value = getattr(error, name, None)
        if isinstance(value, str) and len(value) == _SQLSTATE_LENGTH:
            return value
    return None


def _is_session_lost(chain: list[BaseException]) -> bool:
    """Whether it looks like a lost session, or one that could not be had; a value of wrong type does not."""
    if any(type(one).__name__ == "DataError" for one in chain):
        return False
    return any(_is_driver_error(one) for one in chain)


def _is_driver_error(error: BaseException) -> bool:
    """Other libraries have an `OperationalError` too, and user code may speak HTTP to a broken server."""
    names = {"OperationalError", "InterfaceError", "ConnectionDoesNotExistError", "CannotConnectNowError"}
    if isinstance(error, (OSError, TimeoutError)):
        frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        return any(_is_drivers(str(frame.f_globals.get("__name__"))) for frame in frames)
    return type(error).__name__ in names and _is_drivers(type(error).__module__)


def _is_drivers(module: str) -> bool:
    return module.startswith(("psycopg", "asyncpg", "sqlalchemy.dialects.postgresql"))


def _message(chain: list[BaseException]) -> str:
    """The server's primary message if there is one, else the first line of the outermost error."""
    for one in chain:
        if isinstance(one, Refused):
            return str(one)
        primary = getattr(getattr(one, "diag", None), "message_primary", None)
        if primary:
            return str(primary)
    for one in chain:
        if type(one).__module__.startswith("asyncpg") and getattr(one, "message", None):
            return str(one.message)  # type: ignore[attr-defined]
    error = chain[0]
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called"
    text = str(getattr(error, "orig", None) or error).strip()
    lines = _PARAMETER_VALUE.sub(r"\1", text).splitlines()
    return f"{type(error).__name__}: {lines[0][:500] if lines else ''}"


def _where(error: BaseException) -> str | None:
    """The innermost line that is not a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if one.filename != __file__ and not _is_library(one.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def _is_library(filename: str) -> bool:
    return filename.startswith("<") or "site-packages" in filename or "importlib" in filename


if __name__ == "__main__":
    main()
