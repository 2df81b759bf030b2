"""Take a backup: `pg_dump` streamed through us, read back to its end, then declared by a manifest."""

import hashlib
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, BinaryIO

from migrator.backup.client import Client
from migrator.backup.manifest import Manifest
from migrator.backup.program import Program, running
from migrator.backup.readable import refuse_unreadable
from migrator.backup.store import FileStore
from migrator.clock import Clock, Stop, utc_now
from migrator.errors import BackupFailed
from migrator.postgres.catalog import table_count
from migrator.postgres.session import Connector
from migrator.settings import Dsn

_CHUNK_BYTES = 1 << 20
_PROGRESS_SECONDS = 1.0
_PROOF_SECONDS = 5.0
_LOCK_WAIT = "30s"
_LIBPQ_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "channel_binding": "PGCHANNELBINDING",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


@dataclass(frozen=True, slots=True)
class About:
    """Whose backup it is."""

    run_id: str
    app: str
    release: str
    database: str
    heads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was proven: where it is, how large, and what it took."""

    location: str
    size_bytes: int
    sha256: str
    seconds: float
    finished: datetime


@dataclass(frozen=True, slots=True)
class Dumper:
    """Everything a dump needs; `prove_leadership` is called every few seconds and raises when it is lost."""

    connector: Connector
    dsn: Dsn
    client: Client
    store: FileStore
    clock: Clock
    stop: Stop
    prove_leadership: Callable[[], None]
    progressed: Callable[[int, float], None]
    taken: Callable[[Backup], None] = field(default=lambda _: None)
    stall: timedelta = timedelta(minutes=5)

    def take(self, about: About) -> Backup:
        """Dump, read back, declare.

        Raises `BackupFailed` (I/O, disk, a broken dump) or `PolicyRefused` (tables the role cannot read); the
        schema was not touched, and no half file stays.
        """
        started, began = utc_now(), self.clock.monotonic()
        self.store.remove_leftovers()
        stamp = f"{started:%Y%m%dT%H%M%SZ}-{'+'.join(about.heads)[:60] or 'empty'}-{about.run_id[:8]}"
        name = re.sub(r"[^\w.+-]", "_", stamp) + ".dump"
        with self.connector.reopen("the backup") as session, self.store.writing(name) as file:
            refuse_unreadable(session)
            session.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = str(session.value("SELECT pg_export_snapshot()"))
            tables, server = table_count(session), _version(session.server_version)
            digest, size = self._dump(snapshot, file)
            seconds = self.clock.monotonic() - began
            backup = Backup(str(self.store.path(name)), size, digest, seconds, utc_now())
            self.taken(backup)
            self._prove(file, digest, tables)
        manifest = Manifest(
            file=name,
            database=about.database,
            heads_before=about.heads,
            server_version=server,
            client_version=self.client.version,
            size_bytes=size,
            sha256=digest,
            tables=tables,
            run_id=about.run_id,
            app=about.app,
            release=about.release,
            started=started,
            finished=backup.finished,
            verified="archive",
        )
        with self.store.writing(name.removesuffix(".dump") + ".manifest.json") as file:
            file.write(manifest.encoded())
        return backup

    def _dump(self, snapshot: str, file: BinaryIO) -> tuple[str, int]:
        command = [
            self.client.pg_dump,
            "--format=custom",
            f"--compress={self.client.compression()}",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={_LOCK_WAIT}",
            "--no-password",
        ]
        digest, size, began = hashlib.sha256(), 0, self.clock.monotonic()
        told = began
        with running(command, self._environment(), stdin=None) as child:
            for chunk in self._chunks(child):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                if (now := self.clock.monotonic()) - told >= _PROGRESS_SECONDS:
                    told = now
                    self.progressed(size, now - began)
        if size == 0:
            raise BackupFailed("pg_dump ended without an error and without a single byte")
        return digest.hexdigest(), size

    def _chunks(self, child: Program) -> Iterator[bytes]:
        """What the child prints; raises instead of ending when the child failed: an end is not a success."""
        assert child.process.stdout is not None  # noqa: S101 - a pipe was asked for
        proven = heard = self.clock.monotonic()
        descriptor = child.process.stdout.fileno()
        while True:
            ready, _, _ = select.select([descriptor, self.stop.wakeup], [], [], 1.0)
            self.stop.check()
            now = self.clock.monotonic()
            if now - proven >= _PROOF_SECONDS:
                self.prove_leadership()
                proven = now
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

    def _prove(self, file: BinaryIO, digest: str, tables: int) -> None:
        """Read the stored bytes back: the same bytes, decodable to the end, every table listed.

        `pg_restore --list` alone passes an archive that is cut in half, and zstd has no checksum.
        """
        file.flush()
        os.fsync(file.fileno())
        stored = self._feed(file, ["--file=/dev/null"])
        if stored != digest:
            raise BackupFailed("the stored archive is not what pg_dump wrote: its sha256 differs")
        with tempfile.TemporaryFile() as listing:
            self._feed(file, ["--list"], output=listing)
            listing.seek(0)
            listed = len(re.findall(rb"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", listing.read(), re.MULTILINE))
        if listed != tables:
            raise BackupFailed(f"the archive lists {listed} tables, the database has {tables}")

    def _feed(self, file: BinaryIO, arguments: list[str], output: IO[bytes] | None = None) -> str:
        """Give the stored bytes to pg_restore; return their sha256."""
        digest = hashlib.sha256()
        proven = self.clock.monotonic()
        file.seek(0)
        with running(
            [self.client.pg_restore, *arguments], {"LC_ALL": "C"}, stdin=subprocess.PIPE, stdout=output
        ) as child:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
                self.stop.check()
                if self.clock.monotonic() - proven >= _PROOF_SECONDS:
                    self.prove_leadership()
                    proven = self.clock.monotonic()
                digest.update(chunk)
                child.feed(chunk)
            child.feed(None)
            child.must_have_succeeded()
        return digest.hexdigest()

    def _environment(self) -> dict[str, str]:
        """The address by environment: arguments are for everyone to read."""
        words = self.dsn.libpq()
        named = {_LIBPQ_VARIABLES[name]: value for name, value in words.items() if name in _LIBPQ_VARIABLES}
        return {**named, "PGAPPNAME": f"{self.connector.application} backup", "LC_ALL": "C"}


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
