"""A database of a test's own, with an ordinary role that owns it."""

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from migrator.demo.cluster import Cluster

# Each of these has broken somebody's URL, ini file, shell, passfile or log: none may break ours.
AWKWARD: Final = """@:/?#%&+=%41%% '"\\$;,{}"""


@dataclass(frozen=True, slots=True)
class Target:
    """The database to migrate, as its owner reaches it; each helper opens a session and closes it."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    cluster: Cluster = field(repr=False)

    @property
    def url(self) -> str:
        """The URL an operator would write."""
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{who}@{self.host}:{self.port}/{quote(self.database, safe='')}"

    def at(self, host: str, port: int) -> "Target":
        """Give the same database through another address, such as a pooler's or a proxy's."""
        return dataclasses.replace(self, host=host, port=port)

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session as the owner, in autocommit."""
        return psycopg.connect(self.url, autocommit=True, **options)

    def admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a superuser's session to this database, straight to the server, in autocommit."""
        return psycopg.connect(**self.cluster.admin_params(self.database), autocommit=True)

    def execute(self, statement: str, *parameters: Any) -> None:
        """Execute as the owner and commit; several statements may stand in one text without parameters."""
        with self.connect() as session:
            session.execute(statement.encode(), parameters or None)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Fetch every row, as the owner."""
        with self.connect() as session:
            return session.execute(query.encode(), parameters or None).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """Fetch the first column of the first row, or None without a row."""
        rows = self.rows(query, *parameters)
        return rows[0][0] if rows else None


@contextlib.contextmanager
def target_on(cluster: Cluster) -> Iterator[Target]:
    """Make a target on this cluster; at the end its role goes, with every database it owns by then."""
    name = secrets.token_hex(6)
    database, user, password = f"target_{name}", f"owner_{name}", f"{AWKWARD}{secrets.token_hex(6)}"
    cluster.create_role(user, password)
    cluster.create_database(database, user)
    try:
        yield Target(cluster.host, cluster.port, database, user, password, cluster)
    finally:
        _drop(cluster, user)


def _drop(cluster: Cluster, user: str) -> None:
    """Drop a role with its databases: a restore may have renamed the target or left others beside it."""
    owned = "SELECT datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname = %s"
    role = sql.Identifier(user)
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        for (database,) in session.execute(owned, (user,)).fetchall():
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        session.execute(sql.SQL("DROP OWNED BY {}").format(role))
        session.execute(sql.SQL("DROP ROLE {}").format(role))
