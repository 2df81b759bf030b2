"""The address given to env.py: the target's URL, with a driver that the project has."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from migrator.worker.orders import Orders

_LIBPQ_ONLY = frozenset(
    "application_name channel_binding client_encoding connect_timeout fallback_application_name gssencmode "
    "keepalives keepalives_count keepalives_idle keepalives_interval options sslcert sslcrl sslkey "
    "sslrootcert tcp_user_timeout".split()
)


def url_with_driver(orders: Orders) -> str:
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


# How else a driver may be told where to go.
_OTHER_WAYS = frozenset("conninfo dsn hostaddr passfile service servicefile target_session_attrs".split())


def redirect(scratch: dict[str, str], driver: str, arguments: Any, words: dict[str, Any]) -> None:
    """Change what a driver is about to be called with, so that it connects to the scratch database.

    Only the address changes: what a session is otherwise like (`options`, timeouts, codecs) stays env.py's.
    """
    arguments[:] = [] if isinstance(arguments, list) else arguments
    for name in (*_OTHER_WAYS, "database", "dbname"):
        words.pop(name, None)
    for name in ("host", "port", "user", "password"):
        words.pop(name, None)
        if scratch.get(name):
            words[name] = int(scratch[name]) if name == "port" else scratch[name]
    words["database" if driver in {"asyncpg", "pg8000"} else "dbname"] = scratch["dbname"]
    if not driver.startswith("psycopg"):
        return
    for name, value in scratch.items():
        if name in _LIBPQ_ONLY or name == "sslmode":
            words.setdefault(name, value)


def redirect_drivers(scratch: dict[str, str]) -> None:
    """Redirect the sessions, too, that no engine opens: a `creator`'s, or a revision's own."""
    for name, lead in (("psycopg", _lead_psycopg), ("psycopg2", _lead_psycopg2), ("asyncpg", _lead_asyncpg)):
        with contextlib.suppress(ImportError):
            lead(importlib.import_module(name), scratch)


def _lead_psycopg(psycopg: Any, scratch: dict[str, str]) -> None:
    for connection_class in (psycopg.Connection, psycopg.AsyncConnection):
        connect = connection_class.connect.__func__

        def led(cls: Any, /, conninfo: str = "", _connect: Any = connect, **words: Any) -> Any:
            words = {**psycopg.conninfo.conninfo_to_dict(conninfo), **words}
            redirect(scratch, "psycopg", [], words)
            return _connect(cls, **words)

        connection_class.connect = classmethod(led)
    psycopg.connect = psycopg.Connection.connect


def _lead_psycopg2(psycopg2: Any, scratch: dict[str, str]) -> None:
    extensions: Any = importlib.import_module("psycopg2.extensions")
    connect = psycopg2._connect  # noqa: SLF001 - whoever imported `connect` before calls it as well

    def led(dsn: str, *further: Any, **options: Any) -> Any:
        words = extensions.parse_dsn(dsn)
        redirect(scratch, "psycopg2", [], words)
        return connect(extensions.make_dsn(**words), *further, **options)

    psycopg2._connect = led  # noqa: SLF001 - as above


def _lead_asyncpg(_asyncpg: Any, scratch: dict[str, str]) -> None:
    utils: Any = importlib.import_module("asyncpg.connect_utils")
    connect = utils._connect  # noqa: SLF001 - as above; pools call it, too

    def led(**words: Any) -> Any:
        names = dict.fromkeys(words)
        redirect(scratch, "asyncpg", [], words)
        return connect(**{**names, **words})

    utils._connect = led  # noqa: SLF001 - as above


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
