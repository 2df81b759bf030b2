"""The address given to env.py: the target's URL, with a driver that the project has."""

from __future__ import annotations

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
