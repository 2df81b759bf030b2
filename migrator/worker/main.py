"""The worker: loads the project's Alembic and runs its code, once per attempt.

It runs under the project's interpreter (Python 3.9 or newer) and imports nothing but the standard library and
the Alembic (1.8 or newer) and SQLAlchemy (1.4 to 2.1) it finds there.

It is started with two file descriptors: one to read (a line of JSON with its orders; afterwards a line `stop`,
or the end of the stream when the runner is gone), one to write reports to, a line of JSON each, with the kind
of report under `is`. Standard output and standard error belong to the user's code.

Traps it is built around:

- SQL on the project's own connection before its transaction makes Alembic commit nothing and raise nothing. So
  every statement of ours goes through the driver, and is committed there when no transaction is open.
- Only replacing `configure` on the *instance* reaches `env.py`: a subclass is not what `alembic.context` proxies.
- The version row is written before the commit. A revision is reported as committed only once the commit that
  contains it has returned, which the next thing that happens on the connection tells.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
import traceback

_LIBPQ_ONLY = frozenset(
    "application_name channel_binding client_encoding connect_timeout fallback_application_name gssencmode "
    "keepalives keepalives_count keepalives_idle keepalives_interval options sslcert sslcrl sslkey "
    "sslrootcert tcp_user_timeout".split()
)
_LONGEST_STATEMENT = 2000
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)


class Refused(Exception):
    """A session may not migrate: it is not fenced in, or somebody else leads."""

    def __init__(self, why, message):
        super().__init__(message)
        self.why = why


class Stopped(Exception):
    """The runner told us to stop."""


class Reports:
    """Writes what happens to the runner; threads of the user's code may be about."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def __call__(self, kind, **facts):
        line = json.dumps(dict({"is": kind}, **facts), default=str).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class Sessions:
    """Sees every connection any engine of the process opens, and fences in those to the target."""

    def __init__(self, orders, report):
        self._set = orders["parameters"]
        self._fence = orders["fence_sql"]
        self._look = orders["look_sql"]
        self._identity = orders["identity_sql"]
        self._target = orders["identity"]
        self._report = report
        self._lock_timeouts = (orders["parameters"].get("lock_timeout"), orders["concurrently_lock_timeout"])
        self.stopping = False

    def attach(self):
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "connect", self._connected)
        event.listen(Engine, "commit", self._committing)
        event.listen(Engine, "before_cursor_execute", self._executing)
        event.listen(Engine, "after_cursor_execute", self._executed)

    def _connected(self, dbapi_connection, record):
        """Set limits, take the fence, look who leads; leave no transaction open behind us."""
        driver = type(dbapi_connection).__module__
        if not any(name in driver for name in ("psycopg", "asyncpg", "pg8000")):
            self._report("stranger", driver=driver)
            return
        sql = ", ".join(
            "({}, {})".format(_literal(name), _literal(value)) for name, value in self._set.items()
        )
        # Joining pg_settings leaves out what an older server does not know.
        _ask(
            dbapi_connection,
            "SELECT count(set_config(s.name, v.value, false)) FROM (VALUES {}) v(name, value) "
            "JOIN pg_settings s ON s.name = v.name".format(sql),
        )
        pid, identity = _ask(dbapi_connection, "SELECT pg_backend_pid(), ({})".format(self._identity))
        ours = identity == self._target
        fenced = ours and (self._look is None or self._fenced(dbapi_connection))
        dbapi_connection.commit()
        record.info["migrator"] = {"pid": pid, "fenced": fenced, "identity": identity}
        self._report("session", pid=pid, ours=ours, fenced=fenced, identity=identity, driver=driver)
        if ours and not fenced:
            raise Refused("leader", "another runner leads: this session may not migrate")

    def _fenced(self, dbapi_connection):
        return bool(_ask(dbapi_connection, self._fence)[0]) and bool(_ask(dbapi_connection, self._look)[0])

    def look(self, connection):
        """Raise unless this SQLAlchemy connection is the target's, fenced in, and our runner still leads."""
        if self.stopping:
            raise Stopped("stopped by the runner")
        about = connection.info.get("migrator")
        if about is None or not about["fenced"]:
            where = about["identity"] if about else "a database that cannot be watched"
            raise Refused(
                "database",
                "env.py migrates {}, which is not the database this run was given".format(where),
            )
        if self._look is not None and not _ask_through(connection, self._look)[0]:
            raise Refused("leader", "the leader lock was lost: this session may not go on")

    def _committing(self, connection):
        if self._is_fenced(connection):
            self.look(connection)
        Watch.committing(connection)

    def _executing(self, connection, _cursor, statement, _parameters, _context, _many):
        if self.stopping:
            raise Stopped("stopped by the runner")
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            if self._is_fenced(connection):
                self.look(connection)
            Watch.autocommitting(connection, statement)
            if _CONCURRENTLY.search(statement):
                self._set_lock_timeout(connection, self._lock_timeouts[1])
        Watch.settled(connection)

    def _executed(self, connection, _cursor, statement, _parameters, _context, _many):
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            if _CONCURRENTLY.search(statement):
                self._set_lock_timeout(connection, self._lock_timeouts[0])

    def _set_lock_timeout(self, connection, milliseconds):
        """CONCURRENTLY waits for old transactions without blocking anybody: a short limit would only spoil it."""
        if milliseconds is not None and self._is_fenced(connection):
            _ask_through(connection, "SELECT set_config('lock_timeout', {}, false)".format(_literal(milliseconds)))

    @staticmethod
    def _is_fenced(connection):
        return bool(connection.info.get("migrator", {}).get("fenced"))


class Watch:
    """What is known of the revisions of this attempt: done, being committed, committed."""

    connection = None  # the one given to configure()
    current = None  # the revision whose upgrade() is running
    report = None
    _done = []
    _committing = []
    _started = 0.0
    _partial = False

    @classmethod
    def start(cls, revision):
        cls.current, cls._started, cls._partial = revision, time.monotonic(), False
        cls.report("started", id=revision)

    @classmethod
    def done(cls):
        """The version row is written, in a transaction that may still be open."""
        if cls.current is not None:
            seconds = time.monotonic() - cls._started
            cls.report("applied", id=cls.current, seconds=round(seconds, 3))
            cls._done.append(cls.current)
            cls.current = None

    @classmethod
    def committing(cls, connection):
        if connection is cls.connection or cls._same(connection):
            cls._committing, cls._done = cls._committing + cls._done, []
            cls._mark_partial()

    @classmethod
    def autocommitting(cls, connection, _statement):
        if connection is cls.connection or cls._same(connection):
            cls._mark_partial()

    @classmethod
    def _mark_partial(cls):
        if cls.current is not None and not cls._partial:
            cls._partial = True
            cls.report("partial", id=cls.current)

    @classmethod
    def settled(cls, connection=None):
        """Something else happens on the connection: the commit before it has returned."""
        if cls._committing and (connection is None or connection is cls.connection or cls._same(connection)):
            cls.report("committed", ids=cls._committing)
            cls._committing = []

    @classmethod
    def _same(cls, connection):
        """Branched or option-carrying copies of a connection share the driver's connection."""
        try:
            return cls.connection is not None and connection.connection is cls.connection.connection
        except Exception:
            return False


def main():
    control, out = int(sys.argv[1]), int(sys.argv[2])
    sys.argv = ["alembic"]
    # The folder of this file was put first; the project's packages must not meet it. Many projects expect the
    # working directory, as `python -m alembic` gives it.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]
    sys.path.append(os.getcwd())
    stream = os.fdopen(control, "rb", buffering=0)
    orders = json.loads(_line(stream))
    report = Reports(out)
    Watch.report = report
    sessions = Sessions(orders, report)
    threading.Thread(target=_obey, args=(stream, sessions), daemon=True).start()
    status = 1
    try:
        _work(orders, report, sessions)
        status = 0
    except BaseException as error:  # user code may raise anything, sys.exit() included
        report("failed", **_failure(error, orders))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # user code may have closed or replaced it
            pass
    # Threads and atexit handlers of the user's code must not keep us: all there was to say is said.
    os._exit(status)


def _line(stream):
    line = b""
    while not line.endswith(b"\n"):
        piece = stream.read(65536)
        if not piece:
            os._exit(1)
        line += piece
    return line


def _obey(stream, sessions):
    """End with the runner: a session that nobody watches must not go on."""
    while True:
        if not stream.read(64):
            os._exit(1)
        sessions.stopping = True


def _work(orders, report, sessions):
    import alembic
    import sqlalchemy

    report(
        "ready",
        alembic=alembic.__version__,
        sqlalchemy=sqlalchemy.__version__,
        python=".".join(map(str, sys.version_info[:3])),
    )
    config = _config(orders)
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    if orders["mode"] == "history":
        _tell_history(script, report)
        return
    sessions.attach()
    if orders["mode"] == "discover":
        _discover(config, script, report, sessions)
    else:
        _upgrade(config, script, orders, report, sessions)


def _config(orders):
    from argparse import Namespace

    from alembic.config import Config

    words = {"ini_section": orders["section"]}
    if orders.get("toml_file"):
        words["toml_file"] = orders["toml_file"]
    config = Config(orders.get("config_file"), **words)
    if orders.get("script_location"):
        config.set_main_option("script_location", orders["script_location"].replace("%", "%%"))
    url = _with_driver(orders, config)
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


def _with_driver(orders, config):
    """The target's URL with the driver that the project asks for, else the first that is installed."""
    asked = orders.get("driver") or _driver_of(config.get_main_option("sqlalchemy.url") or "")
    driver = asked or next((name for name in _candidates(orders) if _is_installed(name)), None)
    url = orders["url"]
    if driver is None:
        return url
    if driver == "asyncpg":
        url = _for_asyncpg(url)
    return url.replace("postgresql://", "postgresql+{}://".format(driver), 1)


def _for_asyncpg(url):
    """SQLAlchemy hands every word of the query to asyncpg, which knows few of libpq's."""
    base, _, query = url.partition("?")
    words = [word.partition("=") for word in query.split("&") if word]
    kept = [("ssl" if name == "sslmode" else name, value) for name, _, value in words if name not in _LIBPQ_ONLY]
    return base + ("?" if kept else "") + "&".join("{}={}".format(*pair) for pair in kept)


def _driver_of(url):
    scheme = url.split("://", 1)[0]
    return scheme.split("+", 1)[1] if scheme.startswith("postgresql+") else None


def _candidates(orders):
    """`create_async_engine` needs a driver that can be awaited; psycopg 3 serves both."""
    return ("psycopg", "asyncpg", "psycopg2") if orders.get("is_async") else ("psycopg", "psycopg2", "pg8000", "asyncpg")


def _is_installed(name):
    import importlib.util

    import sqlalchemy

    if name == "psycopg" and sqlalchemy.__version__.startswith("1."):
        return False
    return importlib.util.find_spec(name) is not None


def _tell_history(script, report):
    revisions = []
    for one in script.walk_revisions():
        down, depends = one.down_revision, one.dependencies
        revisions.append(
            {
                "id": one.revision,
                "down": _listed(down),
                "depends_on": _listed(depends),
                "labels": sorted(one._orig_branch_labels if hasattr(one, "_orig_branch_labels") else one.branch_labels),
                "doc": one.doc or "",
                "path": one.path,
            }
        )
    report("history", revisions=revisions)


def _listed(value):
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _discover(config, script, report, sessions):
    """Run env.py up to the point where it would migrate, and tell what it configured."""
    from alembic.runtime.environment import EnvironmentContext

    def nothing(_heads, _context):
        return []

    environment = EnvironmentContext(config, script, fn=nothing, dont_mutate=True, destination_rev="head")
    _watch_configure(environment, {}, report, sessions, applied=None)

    def run_migrations(**_options):
        context = environment.get_context()
        _tell_version_table(context, report)

    environment.run_migrations = run_migrations
    with environment:
        script.run_env()
    report("finished")


def _upgrade(config, script, orders, report, sessions):
    from alembic.runtime.environment import EnvironmentContext

    ran = []

    def steps(heads, context):
        planned = script._upgrade_revs(orders["target"], heads)
        ran.append(True)
        _tell_version_table(context, report)
        report("planned", ids=[step.revision.revision for step in planned])
        for step in planned:
            _settle(context)
            sessions.look(context.connection)
            Watch.start(step.revision.revision)
            yield step
            Watch.done()
        _settle(context)

    def applied(**_facts):
        Watch.done()

    environment = EnvironmentContext(
        config, script, fn=steps, as_sql=False, starting_rev=None, destination_rev=orders["target"], tag=None
    )
    _watch_configure(environment, orders["configure"], report, sessions, applied)
    with environment:
        script.run_env()
    Watch.settled()
    if not ran:
        report("idle")
    report("finished")


def _settle(context):
    """Between two revisions without an open transaction, what was being committed is committed."""
    Watch.settled()
    if not context.connection.in_transaction():
        Watch.committing(context.connection)
        Watch.settled()


def _watch_configure(environment, extra, report, sessions, applied):
    original = environment.configure

    def configure(connection=None, **options):
        if connection is None:
            raise Refused("offline", "env.py configured no connection: it may not have run in online mode")
        if applied is not None:
            theirs = options.get("on_version_apply")
            callbacks = [] if theirs is None else list(theirs) if isinstance(theirs, (list, tuple, set)) else [theirs]
            options["on_version_apply"] = tuple(callbacks) + (applied,)
        options.update(extra)
        original(connection=connection, **options)
        Watch.connection = connection
        report("configured", pid=connection.info.get("migrator", {}).get("pid"))
        sessions.look(connection)

    environment.configure = configure


def _tell_version_table(context, report):
    """Name the version table with the schema it really is in, or will be in."""
    name, schema = context.version_table, context.version_table_schema
    if schema is None:
        where = "SELECT coalesce((SELECT relnamespace FROM pg_class WHERE oid = to_regclass({})), " \
            "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))::regnamespace::text"
        quoted = '"' + name.replace('"', '""') + '"'
        schema = _unquoted(_ask_through(context.connection, where.format(_literal(quoted)))[0])
    report("version_table", name=name, schema=schema)


def _unquoted(name):
    if name is not None and name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def _ask_through(connection, sql):
    """Ask on the driver's connection below a SQLAlchemy connection, leaving its transaction as it was."""
    driver = connection.connection
    row = _ask(driver, sql)
    if not connection.in_transaction():
        driver.commit()
    return row


def _ask(dbapi_connection, sql):
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(sql)
        return cursor.fetchone()
    finally:
        cursor.close()


def _literal(value):
    # Colons and percent signs mean something to some drivers; none of our values has them.
    return "'{}'".format(str(value).replace("'", "''"))


def _failure(error, orders):
    """What the runner needs to judge a failure; no parameters, no DETAIL: those can hold row values."""
    chain = list(_chain(error))
    state = next((one for one in map(_sqlstate, chain) if one), None)
    statement = next((getattr(one, "statement", None) for one in chain if getattr(one, "statement", None)), None)
    refused = next((one for one in chain if isinstance(one, Refused)), None)
    return {
        "revision": Watch.current,
        "type": "{}.{}".format(type(error).__module__, type(error).__name__),
        "message": _message(chain),
        "sqlstate": state,
        "statement": None if statement is None else " ".join(str(statement).split())[:_LONGEST_STATEMENT],
        "is_driver_error": any(_is_driver_error(one) for one in chain),
        "refused": refused.why if refused else None,
        "stopped": any(isinstance(one, Stopped) for one in chain),
        "exit": isinstance(error, SystemExit),
        "is_alembic_error": any(type(one).__module__.startswith("alembic.") for one in chain),
        "where": _where(error),
    }


def _chain(error):
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        orig = getattr(error, "orig", None)
        if orig is not None and id(orig) not in seen:
            yield orig
        error = error.__cause__ or error.__context__


def _sqlstate(error):
    for name in ("sqlstate", "pgcode"):
        value = getattr(error, name, None)
        if isinstance(value, str) and len(value) == 5:
            return value
    return None


def _is_driver_error(error):
    names = {"OperationalError", "InterfaceError", "ConnectionDoesNotExistError", "CannotConnectNowError"}
    return type(error).__name__ in names or isinstance(error, ConnectionError)


def _message(chain):
    """The server's primary message if there is one, else the first line of the outermost error."""
    for one in chain:
        primary = getattr(getattr(one, "diag", None), "message_primary", None)
        if primary:
            return primary
    for one in chain:
        if type(one).__module__.startswith("asyncpg") and getattr(one, "message", None):
            return str(one.message)
    if isinstance(chain[0], SystemExit):
        return "sys.exit({!r}) was called".format(chain[0].code)
    lines = str(getattr(chain[0], "orig", None) or chain[0]).strip().splitlines()
    return "{}: {}".format(type(chain[0]).__name__, lines[0][:500] if lines else "")


def _where(error):
    """The innermost line that is not a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if "site-packages" not in one.filename and one.filename != __file__ and "importlib" not in one.filename]
    return "{}:{}".format(own[-1].filename, own[-1].lineno) if own else None


if __name__ == "__main__":
    main()
