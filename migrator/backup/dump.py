"""Take a backup: `pg_dump` streamed through us, read back to its end, then declared by a manifest."""

import contextlib
import hashlib
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from migrator.backup.client import Client
from migrator.backup.manifest import ARCHIVE_SUFFIX, Manifest
from migrator.backup.program import Program, running
from migrator.backup.readable import refuse_unreadable
from migrator.backup.stores import Store, Writing
from migrator.clock import Clock, Stop, utc_now
from migrator.errors import BackupFailed, MigratorError, PolicyRefused
from migrator.model import Backup, RevisionId
from migrator.postgres.catalog import database_size_bytes, table_count
from migrator.postgres.keepalives import CLIENT, SERVER_AT_WORK
from migrator.postgres.session import Connector, Session
from migrator.settings import Dsn

_CHUNK_BYTES = 1 << 20
_PROGRESS_SECONDS = 1.0
_LOCK_WAIT = "30s"
_TABLE = re.compile(rb"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", re.MULTILINE)
# Source: PostgreSQL, "Environment Variables" of libpq.
_LIBPQ_VARIABLES = {
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
# The dump's locks end with its session: the server must notice a client that was killed, or that the network
# lost in silence.
_WATCHED = " ".join(f"-c {name}={value}" for name, value in SERVER_AT_WORK.items())
# The same for pg_dump itself, which would wait for an answer for two hours. libpq has no variables for these;
# the rest of the address, and the database's name, come from its variables all the same.
_KEEPALIVES = " ".join(f"{name}={value}" for name, value in CLIENT.items())
# A dump has a name of its own, and is kept in the encoding of its database.
_NOT_FOR_A_DUMP = frozenset({"client_encoding", "fallback_application_name"})


@dataclass(frozen=True, slots=True)
class About:
    """Whose backup it is."""

    run_id: str
    app: str
    release: str
    database: str
    heads: tuple[RevisionId, ...]


@dataclass(frozen=True, slots=True)
class Dumper:
    """Everything a dump needs; `prove_leadership` is called all the time and raises when it is lost."""

    connector: Connector
    dsn: Dsn
    client: Client
    store: Store
    clock: Clock
    stop: Stop
    prove_leadership: Callable[[], None]
    progressed: Callable[[int, float], None]
    taken: Callable[[Backup], None] = field(default=lambda _: None)
    stall: timedelta = timedelta(minutes=5)

    def take(self, about: About) -> Backup:
        """Dump, read back, declare.

        Raises `BackupFailed` (I/O, disk, a broken dump) or `PolicyRefused` (tables the role cannot read, an
        address pg_dump cannot be given); the schema was not touched, and no half file stays.
        """
        address = dump_variables(self.dsn)
        started = utc_now()
        self.store.refuse_unusable(0)
        self.store.remove_leftovers()
        name = _name(about, started)
        with self.connector.reopen("the backup") as session:
            server_version = session.server_version
            snapshot, tables = _snapshot(session)
            with self.store.writing(name, database_size_bytes(session)) as file:
                backup = self._dump(name, snapshot, address, file)
            try:
                self.taken(backup)
                self._prove(name, backup, tables)
            except BaseException:
                with contextlib.suppress(MigratorError):  # what happened first is what counts
                    self.store.remove(name)
                raise
        self._declare(backup, about, started=started, server_version=server_version)
        return backup

    def _declare(self, backup: Backup, about: About, *, started: datetime, server_version: int) -> None:
        name = Path(backup.location).name
        manifest = Manifest(
            file=name,
            database=about.database,
            heads=about.heads,
            server_version=_version(server_version),
            client_version=self.client.version,
            size_bytes=backup.size_bytes,
            sha256=backup.sha256,
            plain_sha256=backup.sha256,
            run_id=about.run_id,
            app=about.app,
            release=about.release,
            started=started,
            finished=backup.finished,
            verified="archive",
        )
        with self.store.writing(manifest.name) as file:
            file.write(manifest.encoded())

    def _dump(self, name: str, snapshot: str, address: dict[str, str], file: Writing) -> Backup:
        command = [
            self.client.pg_dump,
            "--format=custom",
            f"--compress={self.client.compression()}",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={_LOCK_WAIT}",
            "--no-password",
            f"--dbname={_KEEPALIVES}",
            *([f"--role={self.connector.role}"] if self.connector.role else []),
        ]
        options = address.get("PGOPTIONS", os.environ.get("PGOPTIONS", ""))
        environ = {
            **address,
            "PGAPPNAME": f"{self.connector.application} backup",
            "PGOPTIONS": f"{options} {_WATCHED}".strip(),
            "LC_ALL": "C",
        }
        began = self.clock.monotonic()
        with running(command, environ, stdin=None) as child:
            digest, size = self._store(self._chunks(child), file)
        if size == 0:
            raise BackupFailed("pg_dump ended without an error and without a single byte")
        seconds = self.clock.monotonic() - began
        return Backup(self.store.location(name), size, digest, seconds, utc_now())

    def _store(self, chunks: Iterator[bytes], file: Writing) -> tuple[str, int]:
        """Write what comes, telling how far it is."""
        digest, size = hashlib.sha256(), 0
        began = told = self.clock.monotonic()
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
            if (now := self.clock.monotonic()) - told >= _PROGRESS_SECONDS:
                told = now
                self.progressed(size, now - began)
        return digest.hexdigest(), size

    def _chunks(self, child: Program) -> Iterator[bytes]:
        """What the child prints; raises instead of ending when the child failed: an end is not a success."""
        assert child.process.stdout is not None  # noqa: S101 - a pipe was asked for
        heard = self.clock.monotonic()
        descriptor = child.process.stdout.fileno()
        while True:
            ready, _, _ = select.select([descriptor, self.stop.wakeup], [], [], 1.0)
            self.stop.check()
            now = self.clock.monotonic()
            self.prove_leadership()
            if descriptor not in ready and now - heard >= self.stall.total_seconds():
                raise BackupFailed(
                    f"pg_dump has written nothing for {self.stall.total_seconds():g} s",
                    remedy="see in pg_stat_activity what the server does for it, then run again",
                )
            if descriptor in ready:
                heard = now
                chunk = os.read(descriptor, _CHUNK_BYTES)
                if not chunk:
                    child.must_have_succeeded()
                    return
                yield chunk

    def _prove(self, name: str, backup: Backup, tables: int) -> None:
        """Read the stored bytes back: the same bytes, decodable to the end, every table listed.

        `pg_restore --list` alone passes an archive that is cut in half, and zstd has no checksum.
        """
        if self.store.size_bytes(name) != backup.size_bytes or self._read_back(name) != backup.sha256:
            raise BackupFailed("the stored archive is not what pg_dump wrote: its sha256 differs")
        if (listed := self._listed(name)) != tables:
            raise BackupFailed(f"the archive lists {listed} tables, the database has {tables}")

    def _read_back(self, name: str) -> str:
        """Have every stored byte decoded; return their sha256."""
        digest = hashlib.sha256()
        command = [self.client.pg_restore, "--file=/dev/null"]
        with running(command, {"LC_ALL": "C"}, stdin=subprocess.PIPE) as child:
            for chunk in self._stored(name):
                digest.update(chunk)
                child.feed(chunk)
            child.feed(None)
            child.must_have_succeeded()
        return digest.hexdigest()

    def _listed(self, name: str) -> int:
        """How many tables the archive lists; its list is at the front, so the rest is not read again."""
        command = [self.client.pg_restore, "--list"]
        with tempfile.TemporaryFile() as listing:
            with running(command, {"LC_ALL": "C"}, stdin=subprocess.PIPE, stdout=listing) as child:
                for chunk in self._stored(name):
                    if not child.feed(chunk):
                        break
                child.feed(None)
                child.must_have_succeeded()
            listing.seek(0)
            return len(_TABLE.findall(listing.read()))

    def _stored(self, name: str) -> Iterator[bytes]:
        """The stored bytes, for as long as we lead and nobody tells us to stop."""
        for chunk in self.store.reading(name):
            self.stop.check()
            self.prove_leadership()
            yield chunk


def dump_variables(dsn: Dsn) -> dict[str, str]:
    """The address by environment: arguments are for everyone to read.

    Raises `PolicyRefused` for a keyword that has no variable: without it, pg_dump would connect differently.
    """
    words = {name: value for name, value in dsn.libpq().items() if name not in _NOT_FOR_A_DUMP}
    if unknown := sorted(words.keys() - _LIBPQ_VARIABLES.keys()):
        raise PolicyRefused(
            f"pg_dump cannot be given {', '.join(unknown)}, which stands in the database's URL",
            remedy="put it into a connection service file (PGSERVICEFILE, ?service=…) instead",
        )
    return {_LIBPQ_VARIABLES[name]: value for name, value in words.items()}


def _name(about: About, started: datetime) -> str:
    stamp = f"{started:%Y%m%dT%H%M%SZ}-{'+'.join(about.heads)[:60] or 'empty'}-{about.run_id[:8]}"
    return re.sub(r"[^\w.+-]", "_", stamp) + ARCHIVE_SUFFIX


def _snapshot(session: Session) -> tuple[str, int]:
    """A snapshot that the dump shares, and how many tables it must then hold."""
    session.hold_on()
    refuse_unreadable(session)
    session.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return str(session.value("SELECT pg_export_snapshot()")), table_count(session)


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
