"""Take a backup: `pg_dump` streamed through us, decoded on the way, read back, then declared by a manifest.

    refuse → snapshot → pg_dump → digest → (seal) → store → read back → manifest
                                      └→ pg_restore, to the archive's end → rows of every table

Nothing that looks like a backup stays unless all of it succeeded.
"""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO

from migrator.backup.address import KEEPALIVES, WATCHED, dump_variables
from migrator.backup.client import Client
from migrator.backup.manifest import ARCHIVE_SUFFIX, Manifest
from migrator.backup.moment import take_snapshot
from migrator.backup.preflight import refuse_too_large, refuse_unready, tell_idle_patterns
from migrator.backup.program import Program, running
from migrator.backup.progress import Progress
from migrator.backup.readback import ReadBack
from migrator.backup.restore_point import mark_restore_point
from migrator.backup.scope import Scope
from migrator.backup.sealing import NoSeal, Seal
from migrator.backup.stores import Store
from migrator.backup.stream import Stream
from migrator.backup.watch import Watch
from migrator.clock import utc_now
from migrator.errors import DatabaseUnavailable, MigratorError
from migrator.model import Backup, RevisionId, VersionTable
from migrator.postgres.session import Connector, Session
from migrator.schema.reading import read_snapshot_within
from migrator.settings import Dsn
from migrator.telemetry.events import Events

_LOCK_WAIT = "30s"
_MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class About:
    """Whose backup it is."""

    run_id: str
    app: str
    release: str
    database: str
    heads: tuple[RevisionId, ...]
    version_tables: tuple[VersionTable, ...] = ()  # empty where only `env.py` knows them


@dataclass(frozen=True, slots=True)
class Dumper:
    """Everything a dump needs."""

    connector: Connector
    dsn: Dsn
    client: Client
    store: Store
    watch: Watch
    events: Events
    exclude: tuple[str, ...] = ()
    max_size_bytes: int | None = None
    # More than reading it back: given the manifest so far and the session of the dump's own snapshot, it
    # returns the manifest with what it proved, or raises.
    prove_further: Callable[[Manifest, Session], Manifest] | None = None
    seal: Seal = field(default_factory=NoSeal)

    def take(self, about: About) -> Backup:
        """Refuse or dump, prove, declare.

        Raises `BackupFailed` (I/O, disk, a broken dump, a stall) or `PolicyRefused` (what a preflight
        forbids); the schema was not touched, and no half file stays.
        """
        address = dump_variables(self.dsn)
        self.store.refuse_unusable(0)
        self.store.remove_leftovers()
        with self.connector.reopen("the backup") as session:
            session.hold_on()
            manifest, scope = self._begin(session, about)
            manifest = self._archive(manifest, scope, address, session)
            try:
                self._tell_taken(manifest)
                manifest = self._proven(manifest)
                if self.prove_further is not None:
                    manifest = replace(self.prove_further(manifest, session), finished=utc_now())
                with self.store.writing(manifest.name) as file:
                    file.write(manifest.encoded())
            except BaseException:
                with contextlib.suppress(MigratorError):  # what happened first is what counts
                    self.store.remove(manifest.file)
                raise
        backup = backup_of(manifest, self.store)
        self.events.record("backup.verified", f"backup proven: {backup}", **backup.facts)
        return backup

    def _begin(self, session: Session, about: About) -> tuple[Manifest, Scope]:
        """Fix the moment, and refuse what can be refused; the manifest says what is known by now."""
        started = utc_now()
        moment = take_snapshot(session, about.version_tables)
        refuse_too_large(moment, self.max_size_bytes)
        scope = Scope.of(moment, self.exclude)
        refuse_unready(session, scope, self.store, self.events)
        tell_idle_patterns(moment, self.exclude, self.events)
        heads = moment.heads or about.heads
        manifest = Manifest(
            file=_name(started, heads, about.run_id),
            database=about.database,
            database_id=moment.database_id,
            version_rows=moment.version_rows,
            heads=heads,
            fingerprint=_fingerprint(session),
            large_objects=moment.large_objects,
            missing=scope.missing,
            lsn=moment.lsn,
            restore_point=mark_restore_point(session, heads, about.run_id),
            extensions=moment.extensions,
            creation=moment.creation,
            database_size_bytes=moment.database_size_bytes,
            server_version=_version(moment.server_version),
            client_version=self.client.version,
            compression=self.client.compression(),
            encryption=self.seal.scheme,
            size_bytes=0,
            sha256="",
            run_id=about.run_id,
            app=about.app,
            release=about.release,
            started=started,
            finished=started,
            verified="",
        )
        self._tell_start(manifest)
        return manifest, scope

    def _tell_start(self, manifest: Manifest) -> None:
        size = manifest.database_size_bytes
        partial = f", without the rows of {', '.join(manifest.missing)}" if manifest.missing else ""
        self.events.record(
            "backup.started",
            f"backing up {manifest.database} ({size / _MEGA:.1f} MB on disk) with pg_dump "
            f"{manifest.client_version}{partial}",
            database_size_bytes=size,
            client_version=manifest.client_version,
            partial=manifest.is_partial,
            missing=list(manifest.missing),
            restore_point=manifest.restore_point,
        )

    def _archive(
        self, manifest: Manifest, scope: Scope, address: dict[str, str], session: Session
    ) -> Manifest:
        """Dump into the store, decoding on the way; it is complete there only if everything succeeded."""
        expected = manifest.database_size_bytes
        with tempfile.TemporaryFile() as listing, self.store.writing(manifest.file, expected) as file:
            with self._programs(manifest, scope, address, listing) as (dump, decoder, lister):
                stream = Stream(dump, decoder, lister, self.seal, file)
                progress = Progress(stream, len(scope.dumped), self.watch.clock, self.events)
                self.watch.over(stream, stream.pump, stream.scan, looked=progress.tell)
                self._tell_complaints(dump)
            listing.seek(0)
            return replace(
                manifest,
                tables=scope.contents(stream.counter, listing.read()),
                size_bytes=stream.size_bytes,
                sha256=stream.sha256,
                plain_sha256=stream.plain_sha256,
                finished=utc_now(),
                # A table that somebody held before the dump began is free now, or the dump had failed.
                fingerprint=manifest.fingerprint or _fingerprint(session),
            )

    def _tell_taken(self, manifest: Manifest) -> None:
        backup = backup_of(manifest, self.store)
        self.events.record(
            "backup.taken",
            f"backup taken in {backup.seconds:.2f} s: {manifest.size_bytes / _MEGA:.1f} MB",
            **backup.facts,
        )

    @contextlib.contextmanager
    def _programs(
        self, manifest: Manifest, scope: Scope, address: dict[str, str], listing: IO[bytes]
    ) -> Iterator[tuple[Program, Program, Program]]:
        """pg_dump; one pg_restore that decodes all data, and one that lists what is in the archive."""
        command = [
            self.client.pg_dump,
            "--format=custom",
            f"--compress={manifest.compression}",
            f"--encoding={scope.moment.encoding}",
            f"--snapshot={scope.moment.snapshot}",
            f"--lock-wait-timeout={_LOCK_WAIT}",
            "--no-password",
            f"--dbname={KEEPALIVES}",
            *(f"--exclude-table-data={_exactly(one.schema)}.{_exactly(one.name)}" for one in scope.left_out),
            *([f"--role={self.connector.role}"] if self.connector.role else []),
        ]
        options = address.get("PGOPTIONS", os.environ.get("PGOPTIONS", ""))
        environ = {
            **address,
            "PGAPPNAME": f"{self.connector.application} backup",
            "PGOPTIONS": f"{options} {WATCHED}".strip(),
            "LC_ALL": "C",
        }
        # Only data: text of a function's body could pass for it.
        decode = [self.client.pg_restore, "--data-only", "--file=-"]
        list_ = [self.client.pg_restore, "--list"]
        plain = {"LC_ALL": "C"}
        with (
            running(command, environ, stdin=None) as dump,
            running(decode, plain, stdin=subprocess.PIPE) as decoder,
            running(list_, plain, stdin=subprocess.PIPE, stdout=listing) as lister,
        ):
            yield dump, decoder, lister

    def _tell_complaints(self, dump: Program) -> None:
        """What pg_dump warned of, although it succeeded."""
        for line in dump.complaints():
            self.events.record("output.captured", line, level="warning", stream="stderr", by="pg_dump")

    def _proven(self, manifest: Manifest) -> Manifest:
        """Read it back as it is stored."""
        back = ReadBack(self.store, manifest.file)
        self.watch.over(back, back.read)
        back.must_be(manifest.size_bytes, manifest.sha256)
        return replace(manifest, verified="archive", finished=utc_now())


def backup_of(manifest: Manifest, store: Store) -> Backup:
    """What the rest of a run, and its events, say of a backup."""
    return Backup(
        location=store.location(manifest.file),
        size_bytes=manifest.size_bytes,
        sha256=manifest.sha256,
        seconds=(manifest.finished - manifest.started).total_seconds(),
        finished=manifest.finished,
        missing=manifest.missing,
    )


def _fingerprint(session: Session) -> str | None:
    """Of the schema; None while somebody holds a table of it."""
    try:
        return read_snapshot_within(session).fingerprint
    except DatabaseUnavailable:
        return None


def _exactly(name: bytes) -> str:
    """A pattern of pg_dump's that only this name matches; bytes of whatever encoding pass as they are."""
    return os.fsdecode(b'"' + name.replace(b'"', b'""') + b'"')


def _name(started: datetime, heads: Sequence[RevisionId], run_id: str) -> str:
    stamp = f"{started:%Y%m%dT%H%M%SZ}-{'+'.join(heads)[:60] or 'empty'}-{run_id[:8]}"
    return re.sub(r"[^\w.+-]", "_", stamp) + ARCHIVE_SUFFIX


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
