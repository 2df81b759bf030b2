"""The connection: every step from the host's name to a writable session, one after the other."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.errors import MigratorError
from migrator.postgres.catalog import quoted
from migrator.postgres.doorstep import Tls, addresses, knock, tls
from migrator.postgres.looking import open_to_look
from migrator.postgres.pooler import is_pooled
from migrator.settings import Dsn

_SECONDS = 2.5
_SLOW_SECONDS = 1.0
_SOON_DAYS = 14
_MOST_SKEW_SECONDS = 5.0
_PORT = 5432
_DEMANDS_TLS = frozenset({"require", "verify-ca", "verify-full"})
_VERIFIES = frozenset({"verify-ca", "verify-full"})


@dataclass(frozen=True, slots=True)
class _Stop:
    """One of the hosts of the address."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        return self.host.startswith(("/", "127.")) or self.host in {"localhost", "::1"}

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _hosts(patient: Patient) -> tuple[_Stop, ...]:
    """The hosts of the URL, else of libpq's variables; none where libpq's own default is a socket."""
    dsn = patient.desk.dsn
    port = int(patient.environ.get("PGPORT") or 0) if (patient.environ.get("PGPORT") or "0").isdigit() else 0
    listed = dsn.hosts or tuple(
        (one, None) for one in (patient.environ.get("PGHOST") or "").split(",") if one
    )
    return tuple(_Stop(host, number or port or _PORT) for host, number in listed)


def _names(patient: Patient) -> Iterator[Finding]:
    hosts = _hosts(patient)
    if not hosts:
        yield impossible("the address names no host", why="libpq chooses one, most likely a local socket")
    for one in hosts:
        if one.host.startswith("/"):
            yield passed(f"{one.host} is the folder of a socket", host=one.host, addresses=[])
            continue
        try:
            found = addresses(one.host, one.port, _SECONDS)
        except OSError as error:
            yield failed(
                f"{one.host} has no address: {error.strerror or error}",
                why="the name is misspelt, the service is not there, or this network's DNS does not know it",
                remedy=f"getent ahosts {one.host}",
                host=one.host,
            )
            continue
        kinds = {"IPv6" if ":" in address else "IPv4" for address in found}
        yield passed(
            f"{one.host} is {', '.join(found)} ({' and '.join(sorted(kinds))})",
            host=one.host,
            addresses=list(found),
        )


def _tcp(patient: Patient) -> Iterator[Finding]:
    hosts = _hosts(patient)
    if not hosts:
        yield impossible("the address names no host")
    for one in hosts:
        yield from _knocked(one)


def _knocked(one: _Stop) -> Iterator[Finding]:
    try:
        found = (one.host,) if one.host.startswith("/") else addresses(one.host, one.port, _SECONDS)
    except OSError:
        yield impossible(f"{one.host} has no address", why="see connection.names")
        return
    answered: list[str] = []
    silent: list[str] = []
    for address in found[:3]:
        try:
            seconds = knock(address, one.port, _SECONDS / len(found[:3]))
        except OSError as error:
            silent.append(f"{address}: {error.strerror or error}")
        else:
            answered.append(f"{address} in {seconds * 1000:.1f} ms")
    facts = {"host": one.host, "port": one.port, "answered": answered, "silent": silent}
    if not silent:
        yield passed(f"port {one.port} of {', '.join(answered)}", **facts)
    elif answered:
        yield warned(
            f"port {one.port} answers at {', '.join(answered)}, but not at {', '.join(silent)}",
            why="whoever tries that address first waits for it, each time",
            remedy="let the server listen there too (listen_addresses), or take the address out of DNS",
            **facts,
        )
    else:
        yield failed(
            f"port {one.port} does not answer at {', '.join(silent)}",
            why="Postgres does not run or listen there, or a firewall or network policy is in between",
            remedy=f"pg_isready -h {one.host} -p {one.port}",
            **facts,
        )


def _tls(patient: Patient) -> Iterator[Finding]:
    """The certificate is read without verifying it; where it must be, libpq does that when we connect."""
    hosts = _hosts(patient)
    mode = _mode(patient)
    if not hosts:
        yield impossible("the address names no host")
    for one in hosts:
        try:
            address = one.host if one.host.startswith("/") else addresses(one.host, one.port, _SECONDS)[0]
            found = tls(address, one.port, one.host, _SECONDS)
        except OSError as error:
            yield impossible(
                f"{one} did not answer whether it speaks TLS: {error.strerror or error}",
                why="see connection.tcp",
            )
            continue
        yield _of_tls(one, found, mode, patient.desk.dsn)


def _mode(patient: Patient) -> str:
    words = patient.desk.dsn.libpq()
    return words.get("sslmode") or patient.environ.get("PGSSLMODE") or "prefer"


def _of_tls(one: _Stop, found: Tls, mode: str, dsn: Dsn) -> Finding:
    expires = found.expires
    facts = {
        "host": one.host,
        "mode": mode,
        "offered": found.is_offered,
        "protocol": found.protocol,
        "expires": expires.isoformat() if expires else None,
    }
    if not found.is_offered:
        if mode in _DEMANDS_TLS:
            return failed(
                f"{one} does not speak TLS, and sslmode={mode} asks for it",
                why="no connection can be made",
                remedy=f"ALTER SYSTEM SET ssl = on; with a certificate, or {_in_url(dsn, 'sslmode=disable')}",
                **facts,
            )
        if one.is_local:
            return passed(f"{one} is this machine, and does not speak TLS", **facts)
        return warned(
            f"{one} does not speak TLS: what is sent can be read on the way",
            why="the password is proven without being sent, but all rows of a backup are",
            remedy="let the server have a certificate, unless the network is a private one",
            **facts,
        )
    if mode == "disable":
        return passed(f"{one} speaks TLS, which sslmode=disable refuses", **facts)
    return _of_certificate(one, found, mode, facts)


def _of_certificate(one: _Stop, found: Tls, mode: str, facts: dict[str, Any]) -> Finding:
    expires = found.expires
    left = (expires - datetime.now(UTC)).total_seconds() / 86400 if expires else None
    if left is not None and left < 0:
        return (failed if mode in _VERIFIES else warned)(
            f"the certificate of {one} has expired, on {expires:%Y-%m-%d}",
            why=f"sslmode={mode} refuses it"
            if mode in _VERIFIES
            else f"sslmode={mode} does not look, but whoever verifies it is refused",
            remedy="renew the server's certificate, then: SELECT pg_reload_conf()",
            **facts,
        )
    if left is not None and left < _SOON_DAYS:
        return warned(
            f"the certificate of {one} expires in {left:.0f} days, on {expires:%Y-%m-%d}",
            why="from then on whoever verifies it is refused",
            remedy="renew the server's certificate, then: SELECT pg_reload_conf()",
            **facts,
        )
    until = f", certificate until {expires:%Y-%m-%d}" if expires else ""
    return passed(f"{one} speaks {found.protocol} (sslmode={mode}{until})", **facts)


def _in_url(dsn: Dsn, word: str) -> str:
    return f"put {word} into the URL" if dsn.hosts else f"export PG{word.upper()}"


def _login(patient: Patient) -> Iterator[Finding]:
    """Authentication, the database, and how long it took altogether."""
    began = time.monotonic()
    session = open_to_look(patient.desk.connector)
    seconds = time.monotonic() - began
    with session:
        user = session.way.user
        host, port = session.address
        seen = f"{user} is let in to {session.database} on {host}:{port} in {seconds * 1000:.0f} ms"
        facts = {"user": user, "database": session.database, "seconds": round(seconds, 4)}
    if seconds > _SLOW_SECONDS:
        yield warned(
            seen,
            why="a run opens several sessions, and slow DNS, an overloaded server or a long way delay each",
            remedy=f"time getent ahosts {host}",
            **facts,
        )
    else:
        yield passed(seen, **facts)


def _asked_to_login(patient: Patient) -> Iterator[Finding]:
    if not patient.has_address:
        yield impossible("there is no address of a database", remedy="migrator diagnose --only environment")
        return
    try:
        yield from _login(patient)
    except MigratorError as error:
        yield _refused(error, patient.desk.dsn, patient)


def _refused(error: MigratorError, dsn: Dsn, patient: Patient) -> Finding:
    """What the server's words mean. Who is refused is told no more than that, so they are all there is."""
    said = error.message
    user = dsn.user or patient.environ.get("PGUSER") or "the operating system's user"
    database = dsn.database or user
    for pattern, why, remedy in _REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            return failed(
                said,
                why=why,
                remedy=remedy.format(role=quoted(user), database=quoted(database), user=user, name=database),
            )
    return failed(said, why="no session can be opened", remedy=error.remedy)


# Words of the server, PgBouncer or libpq; why; remedy.
_REFUSALS = (
    (
        r"password authentication failed|no such user|no password supplied",
        "the password is wrong, or the role does not exist: Postgres tells nobody which",
        "as a superuser: \\password {role} (or CREATE ROLE {role} LOGIN), and the same in DATABASE_URL",
    ),
    (
        r'database ".*" does not exist|no such database',
        "the server is there and the role is known, but the database was never made",
        "CREATE DATABASE {database} OWNER {role};",
    ),
    (r'role ".*" does not exist', "the role was never made", "CREATE ROLE {role} LOGIN;"),
    (r"not permitted to log in", "the role is a group", "ALTER ROLE {role} LOGIN;"),
    (
        r"permission denied for database",
        "the role lacks CONNECT",
        "GRANT CONNECT ON DATABASE {database} TO {role};",
    ),
    (
        r"not currently accepting connections",
        "ALLOW_CONNECTIONS is off, as while somebody swaps databases",
        "ALTER DATABASE {database} ALLOW_CONNECTIONS true;",
    ),
    (
        r"no pg_hba\.conf entry",
        "the server lets nobody in as this role from here, or not without TLS",
        "in pg_hba.conf: host {database} {role} samenet scram-sha-256; then SELECT pg_reload_conf();",
    ),
    (
        r"too many connections for role",
        "the role's own limit is reached",
        "ALTER ROLE {role} CONNECTION LIMIT -1;",
    ),
    (
        r"too many connections for database",
        "the database's own limit is reached",
        "ALTER DATABASE {database} CONNECTION LIMIT -1;",
    ),
    (
        r"too many clients|slots are reserved",
        "the server has no free slot",
        "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3;",
    ),
    (
        r"certificate verify failed|root certificate file|does not match host name",
        "sslmode asks to verify the server's certificate, which did not succeed",
        "put sslrootcert=/path/of/the/authority.crt (or sslrootcert=system) into the URL",
    ),
    (
        r"does not support SSL|no encryption",
        "the server and sslmode do not agree whether to speak TLS",
        "see connection.tls",
    ),
    (
        r"session is read-only|in hot standby mode|server is in recovery",
        "none of the hosts is a writable primary: a failover may be under way",
        "add the primary's host to the URL, or wait for the failover: SELECT pg_is_in_recovery();",
    ),
    (
        r"translate host name|refused|timeout expired",
        "nobody answers at that address",
        "see connection.names and connection.tcp",
    ),
)


def _pooler(patient: Patient) -> Iterator[Finding]:
    if not is_pooled(patient.session()):
        yield passed("no pooler is in between")
        return
    if patient.desk.settings.on_pooler == "session":
        yield warned(
            "a pooler is in between, which MIGRATOR_ON_POOLER=session allows",
            why="a run asks for proof that it is in session mode; pg_dump cannot go through it at all",
            remedy="export MIGRATOR_DIRECT_DATABASE_URL=postgresql://… of Postgres itself",
        )
        return
    yield failed(
        "a pooler is in between",
        why="a session lock belongs to nobody there, so two runs could migrate at once: `run` exits 13",
        remedy="export MIGRATOR_DIRECT_DATABASE_URL=postgresql://… of Postgres itself",
    )


_WRITABLE = """
SELECT pg_is_in_recovery(), reset_val::bool,
    (SELECT string_agg(format('ALTER %s %s RESET default_transaction_read_only;',
        CASE WHEN s.setrole = 0 THEN 'DATABASE' ELSE 'ROLE' END,
        CASE WHEN s.setrole = 0 THEN quote_ident(d.datname)
             WHEN s.setdatabase = 0 THEN quote_ident(r.rolname)
             ELSE quote_ident(r.rolname) || ' IN DATABASE ' || quote_ident(d.datname) END), E'\n')
     FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
     LEFT JOIN pg_roles r ON r.oid = s.setrole
     WHERE (s.setdatabase = 0 OR d.datname = current_database())
     AND (s.setrole = 0 OR r.rolname = session_user)
     AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE c LIKE 'default_transaction_read_only=%'))
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""


def _primary(patient: Patient) -> Iterator[Finding]:
    """Writable: our own session is read-only, so the value it began with is asked for."""
    recovering, read_only, resets = patient.session().row(_WRITABLE)
    if recovering:
        yield failed(
            "the server is in recovery: a standby, or a failover is under way",
            why="nothing can be changed there; a run waits for it to become the primary, then exits 30",
            remedy="point DATABASE_URL at the primary, or name all hosts in it: HOST1,HOST2/DATABASE",
        )
    elif read_only:
        yield failed(
            "sessions are read-only by default",
            why="a run takes it for a failover, waits, then exits 30",
            # the session it is pasted into may be so, too
            remedy="SET default_transaction_read_only = off;\n"
            + (resets or "ALTER SYSTEM RESET default_transaction_read_only;\nSELECT pg_reload_conf();"),
        )
    else:
        yield passed("a writable primary")


def _clock(patient: Patient) -> Iterator[Finding]:
    session = patient.session()
    before = time.time()
    theirs = float(session.value("SELECT extract(epoch FROM clock_timestamp())"))
    after = time.time()
    skew = theirs - (before + after) / 2
    uncertain = (after - before) / 2
    seen = f"the server's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) - uncertain > _MOST_SKEW_SECONDS:
        yield warned(
            seen,
            why="ages of backups and of remembered failures, and times in logs, are off by as much",
            remedy="timedatectl set-ntp true, on the one whose clock is wrong",
            skew_seconds=round(skew, 3),
        )
    else:
        yield passed(f"the clocks agree within {abs(skew) + uncertain:.2f} s", skew_seconds=round(skew, 3))


CHECKS = (
    Check("connection.names", _names),
    Check("connection.tcp", _tcp),
    Check("connection.tls", _tls),
    Check("connection.login", _asked_to_login),
    Check("connection.pooler", _pooler),
    Check("connection.primary", _primary),
    Check("connection.clock", _clock),
)
