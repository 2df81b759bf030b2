"""Where the database is: any spelling of a Postgres URL, or libpq's own variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote

from migrator.settings.values import Secret

# People paste passwords unquoted. So: the password may hold anything, as long as what follows an @ is a host
# list, a database and a query. (RFC 3986 and libpq would end it at the first slash; SQLAlchemy does not.) But
# where a port, a database and a query can be told already, an @ belongs to the query.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9]*)(?:\+(?P<driver>\w+))?://"
    r"(?:(?![^:/@?]*:\d{1,5}/[^?@]*\?)(?P<user>[^:/@]*)(?::(?P<password>.*?))?@)?"
    r"(?P<hosts>(?:\[[0-9a-fA-F:.%]+\]|[^/?@#\[\]])*)"
    r"(?:/(?P<database>[^?@]*))?"
    r"(?:\?(?P<query>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:]*)(?::(?P<port>\d*))?")
_SECONDS = re.compile(r"\s*-?\d{1,9}\s*", re.ASCII)
_HIGHEST_PORT = 65535
# What libpq understands in a URL's query; other names are a driver's own and are left to the worker.
_LIBPQ = frozenset(
    "channel_binding client_encoding connect_timeout fallback_application_name gssencmode gsslib "
    "hostaddr krbsrvname load_balance_hosts max_protocol_version min_protocol_version options passfile "
    "require_auth requirepeer service ssl_max_protocol_version ssl_min_protocol_version sslcert "
    "sslcertmode sslcompression sslcrl sslcrldir sslkey sslmode sslnegotiation sslpassword sslrootcert "
    "sslsni target_session_attrs".split()
)


@dataclass(frozen=True, slots=True)
class Dsn:
    """A database's address. What is absent is left to libpq's defaults (`PG*`, passfile, service)."""

    user: str | None = None
    password: Secret | None = None
    hosts: tuple[tuple[str, int | None], ...] = ()
    database: str | None = None
    driver: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    pinned: str | None = None  # the address of the one host; libpq's alone, other drivers know no such thing

    @classmethod
    def parse(cls, raw: str) -> "Dsn":
        """Read `postgres://`, `postgresql://` or `postgresql+DRIVER://`; a `ValueError` never quotes it."""
        found = _URL.fullmatch(raw.strip())
        if found is None:
            raise ValueError("is not a URL such as postgresql://user:password@host:5432/database")
        if found["scheme"].lower() not in {"postgres", "postgresql"}:
            raise ValueError(f"names {found['scheme']!r}: only postgresql:// databases can be migrated")
        query = parse_qsl(found["query"] or "", keep_blank_values=True)
        plain = cls(
            user=unquote(found["user"]) if found["user"] else None,
            password=Secret(unquote(found["password"])) if found["password"] else None,
            hosts=_hosts(found["hosts"] or ""),
            database=unquote(found["database"]) if found["database"] else None,
            driver=found["driver"].lower() if found["driver"] else None,
        )
        return _with_query(plain, query)

    @classmethod
    def from_variables(cls, environ: Mapping[str, str]) -> "Dsn | None":
        """What libpq's variables say, if they name a host, a service or a database."""
        if not any(environ.get(name) for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")):
            return None
        return cls(
            user=environ.get("PGUSER"),
            password=Secret(environ["PGPASSWORD"]) if environ.get("PGPASSWORD") else None,
            hosts=_listed_hosts(environ.get("PGHOST", ""), environ.get("PGPORT", "")),
            database=environ.get("PGDATABASE"),
        )

    def libpq(self) -> dict[str, str]:
        """Keywords for libpq, password included; of several hosts, only a writable one will do."""
        words = dict(self.parameters)
        known = {name: value for name, value in words.items() if name in _LIBPQ}
        if "ssl" in words:  # asyncpg's spelling of the same thing
            known.setdefault("sslmode", "require" if words["ssl"] in {"true", "True"} else words["ssl"])
        if self.hosts:
            known["host"] = ",".join(host for host, _ in self.hosts)
        if any(port for _, port in self.hosts):
            known["port"] = ",".join(str(port or "") for _, port in self.hosts)
        if len(self.hosts) > 1:
            known.setdefault("target_session_attrs", "read-write")
        optional = {"user": self.user, "dbname": self.database, "hostaddr": self.pinned}
        known |= {name: value for name, value in optional.items() if value is not None}
        if self.password is not None:
            known["password"] = self.password.reveal()
        return {name: value for name, value in known.items() if value}

    def at(self, host: str, port: int, address: str | None = None) -> "Dsn":
        """The same database through the one host, and of its addresses the one, that was found writable."""
        return replace(
            self, hosts=((host, port),), pinned=address, parameters=_without_host_choice(self.parameters)
        )

    def url(self, driver: str | None = None) -> str:
        """A URL for one host, password included, as SQLAlchemy reads it."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        secret = f":{quote(self.password.reveal(), safe='')}" if self.password else ""
        account = f"{quote(self.user or '', safe='')}{secret}@" if self.user or secret else ""
        query = [f"{quote(name)}={quote(value, safe='')}" for name, value in self.parameters]
        address = ""
        if self.hosts:
            host, port = self.hosts[0]
            if host.startswith("/"):  # a socket's folder cannot stand where a host name stands
                query.append(f"host={quote(host, safe='')}")
                query += [f"port={port}"] if port else []
            else:
                address = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        tail = f"?{'&'.join(query)}" if query else ""
        return f"{scheme}://{account}{address}/{quote(self.database or '', safe='')}{tail}"


def _hosts(raw: str) -> tuple[tuple[str, int | None], ...]:
    if not raw:
        return ()
    found = [_HOST.fullmatch(entry) for entry in raw.split(",")]
    if not all(found):
        raise ValueError("has a host that is not host or host:port")
    return tuple((unquote(one["host"]).strip("[]"), _port(one["port"])) for one in found if one)


def _listed_hosts(hosts: str, ports: str) -> tuple[tuple[str, int | None], ...]:
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers = numbers * len(names)
    if len(numbers) != len(names):
        raise ValueError("names a different number of hosts and ports")
    return tuple((name, _port(number)) for name, number in zip(names, numbers, strict=True) if name)


def _port(raw: str | None) -> int | None:
    if not raw:
        return None
    if not raw.isdigit() or not 0 < int(raw) <= _HIGHEST_PORT:
        raise ValueError("has a port that is not a number from 1 to 65535")
    return int(raw)


def _with_query(dsn: Dsn, query: list[tuple[str, str]]) -> Dsn:
    """SQLAlchemy and libpq both let a query name host, port, user, password and database as well."""
    words = dict(query)
    hosts = [value for name, value in query if name == "host"]
    if hosts:
        dsn = replace(dsn, hosts=_query_hosts(hosts, words.get("port", "")))
    if "user" in words:
        dsn = replace(dsn, user=words["user"])
    if "password" in words:
        dsn = replace(dsn, password=Secret(words["password"]))
    if "dbname" in words:
        dsn = replace(dsn, database=words["dbname"])
    if not _SECONDS.fullmatch(words.get("connect_timeout") or "0"):
        raise ValueError("has a connect_timeout that is not a number of seconds")
    taken = {"host", "port", "user", "password", "dbname"}
    return replace(dsn, parameters=tuple((name, value) for name, value in query if name not in taken))


def _query_hosts(hosts: list[str], ports: str) -> tuple[tuple[str, int | None], ...]:
    if len(hosts) == 1:
        return _listed_hosts(hosts[0], ports)
    return tuple(pair for host in hosts for pair in _hosts(host))


def _without_host_choice(parameters: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    chooses = {"target_session_attrs", "load_balance_hosts", "hostaddr"}
    return tuple((name, value) for name, value in parameters if name not in chooses)
