"""What is said to the driver's own connection, below SQLAlchemy, and what only it knows.

SQL on the project's own connection before its transaction makes Alembic commit nothing and raise nothing. So
every statement of ours goes through the driver, and is committed there when no transaction is open.
"""

from __future__ import annotations

import os
import socket
from typing import Any

# libpq's words for what the kernel is asked. They are not put into the address: asyncpg takes none of them,
# and an engine's own `creator` would not hear of them.
_KERNELS_NAMES = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}
_IDLE, _BEGUN = 0, 2  # psycopg2's TRANSACTION_STATUS_IDLE and STATUS_BEGIN


def ask_through(connection: Any, sql: str) -> Any:
    """Ask on the driver's connection below a SQLAlchemy connection, leaving its transaction as it was."""
    driver = connection.connection
    row = ask(driver, sql)
    if not connection.in_transaction():
        driver.commit()
    return row


def ask(dbapi_connection: Any, sql: str) -> Any:
    """Give the first row of the answer."""
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(sql)
        return cursor.fetchone()
    finally:
        cursor.close()


def tell(dbapi_connection: Any, sql: str) -> None:
    """Run a statement that answers nothing."""
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()


def literal(value: str) -> str:
    """Quote a text. Colons and percent signs mean something to some drivers; none of our values has them."""
    text = value.replace("'", "''")
    return f"'{text}'"


def is_autocommit(connection: Any) -> bool:
    """Whether the next statement commits itself.

    The driver knows: an engine's own isolation level is in no option. But a `BEGIN` that was executed as text
    opens a transaction all the same; and after such a `COMMIT`, psycopg2 and asyncpg still believe their
    transaction to be open, and begin none.
    """
    adapted = connection.connection
    driver: Any = getattr(adapted, "_connection", None)
    if getattr(adapted, "autocommit", False):
        return _is_idle(driver or adapted)
    if hasattr(driver, "is_in_transaction"):
        return adapted._transaction is not None and not driver.is_in_transaction()  # noqa: SLF001 - as above
    if hasattr(adapted, "get_transaction_status"):
        return bool(adapted.status == _BEGUN and adapted.get_transaction_status() == _IDLE)
    return False


def _is_idle(driver: Any) -> bool:
    """Whether the server has no transaction open; other drivers than Postgres' do not tell."""
    if hasattr(driver, "is_in_transaction"):
        return not driver.is_in_transaction()
    if hasattr(driver, "get_transaction_status"):
        return bool(driver.get_transaction_status() == _IDLE)
    server = getattr(driver, "pgconn", None)
    return server is None or bool(server.transaction_status == _IDLE)


def client_side_pid(dbapi_connection: Any) -> int:
    """The backend's pid as the startup packet said it; a pooler says another one."""
    driver = getattr(dbapi_connection, "_connection", dbapi_connection)
    pid = getattr(driver, "get_server_pid", None) or getattr(driver, "get_backend_pid", None)
    return int(pid() if pid else driver.info.backend_pid)


def way_of(dbapi_connection: Any) -> list[Any]:
    """Host (or socket folder), port, database and user, as the client names them: a pooler goes by these."""
    driver = getattr(dbapi_connection, "_connection", dbapi_connection)
    if hasattr(driver, "info"):
        info = driver.info
        return [info.host, info.port, info.dbname, info.user]
    address, who = driver._addr, driver._params  # noqa: SLF001 - asyncpg tells them nowhere else
    if isinstance(address, str):
        folder, _, port = address.rpartition("/.s.PGSQL.")
        address = (folder, int(port))
    return [*address, who.database, who.user]


def keep_alive(dbapi_connection: Any, limits: dict[str, int]) -> None:
    """Have the kernel notice that the server is gone: whoever waits for its answer sends nothing."""
    driver = getattr(dbapi_connection, "_connection", dbapi_connection)
    transport = getattr(driver, "_transport", None)
    descriptor = (transport.get_extra_info("socket") if transport else driver).fileno()
    with socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family in {socket.AF_INET, socket.AF_INET6}:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in limits.items():
                if hasattr(socket, _KERNELS_NAMES[name]):  # another system than Linux may lack some
                    same.setsockopt(socket.IPPROTO_TCP, getattr(socket, _KERNELS_NAMES[name]), value)
