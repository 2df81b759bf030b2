"""Restore an archive into an empty database, and see that what came out is what went in."""

import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from migrator.backup.address import KEEPALIVES, WATCHED, dump_variables
from migrator.backup.archive import Archive, fetched
from migrator.backup.comparison import compare
from migrator.backup.contents import checksums, large_objects
from migrator.backup.manifest import Manifest
from migrator.backup.program import Program, running
from migrator.backup.restorer import Restorer
from migrator.backup.stores import Store
from migrator.clock import Stop
from migrator.errors import BackupFailed, PolicyRefused, StateRefused
from migrator.postgres.scratch import Likeness, scratch_database
from migrator.postgres.session import Connector, Session

_JOBS = 4
_TURN_SECONDS = 0.2
_UNKNOWN_SETTING = "Command was: SET transaction_timeout = 0;"


@dataclass(frozen=True, slots=True)
class Filling:
    """How an empty database is filled; `keep_going` is called all the time, and raises to end it."""

    restorer: Restorer
    stop: Stop
    keep_going: Callable[[], None]
    keeps_owners: bool = True
    entries: tuple[str, ...] = ()  # of the archive's list; all of them, if empty
    parallel_bytes: int = 16 << 20  # below this size, further sessions cost more than they bring

    def fill(self, into: Connector, archive: Archive) -> None:
        """Restore the archive there, to its end or not at all. Raises `BackupFailed` with what was said.

        Of a file at hand, several sessions restore at once.
        """
        command = [
            self.restorer.client.pg_restore,
            f"--dbname={_conninfo(str(into.dsn.database))} {KEEPALIVES}",
            "--no-password",
            *([] if self.restorer.startles_server else ["--exit-on-error"]),
            *([f"--role={into.role}"] if into.role else []),
            *([] if self.keeps_owners else ["--no-owner"]),
        ]
        address = dump_variables(into.dsn)
        options = address.get("PGOPTIONS", os.environ.get("PGOPTIONS", ""))
        environ = {
            **address,
            "PGAPPNAME": f"{into.application} restore",
            "PGOPTIONS": f"{options} {WATCHED}".strip(),
            "LC_ALL": "C",
        }
        with self._list() as choice:
            self._restore([*command, *choice], environ, archive)

    @contextmanager
    def _list(self) -> Iterator[list[str]]:
        """The entries to restore, in a file."""
        if not self.entries:
            yield []
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write("\n".join(self.entries).encode(errors="surrogateescape") + b"\n")
            file.flush()
            yield [f"--use-list={file.name}"]

    def _restore(self, command: list[str], environ: dict[str, str], archive: Archive) -> None:
        if archive.path is None or archive.file is None:
            self._pour(command, environ, archive)
            return
        jobs = [f"--jobs={_JOBS}"] if archive.manifest.size_bytes >= self.parallel_bytes else []
        keeps = [archive.file.fileno()]
        with running([*command, *jobs, archive.path], environ, stdin=None, keeps=keeps) as child:
            self._await(child)

    def _pour(self, command: list[str], environ: dict[str, str], archive: Archive) -> None:
        """Through its input; what stops it early is told only if the bytes were the right ones."""
        with running(command, environ, stdin=subprocess.PIPE) as child:
            for chunk in archive.chunks():
                self._feed(child, chunk)
            child.feed(None)
            self._await(child)

    def _feed(self, child: Program, chunk: bytes) -> None:
        """Write it all, however long the child is busy; one that has closed its input takes no more."""
        pipe = child.process.stdin
        if pipe is None or pipe.closed:
            return
        os.set_blocking(pipe.fileno(), False)
        rest = memoryview(chunk)
        while rest:
            self._take_a_turn()
            _, ready, _ = select.select([self.stop.wakeup], [pipe], [], _TURN_SECONDS)
            if not ready:
                continue
            try:
                rest = rest[os.write(pipe.fileno(), rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                child.feed(None)
                return

    def _await(self, child: Program) -> None:
        while child.process.poll() is None:
            self._take_a_turn()
            self.stop.wait(_TURN_SECONDS)
        if self.restorer.startles_server and child.process.returncode == 1:
            _refuse_other_errors(child)
        else:
            child.must_have_succeeded()

    def _take_a_turn(self) -> None:
        self.stop.check()
        self.keep_going()


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where scratch databases can be made, and what those of this target are called and like."""

    server: Connector  # leads to any database there
    prefix: str
    like: Likeness


def proven_by_restoring(
    manifest: Manifest, snapshot: Session, store: Store, filling: Filling, workbench: Workbench
) -> Manifest:
    """The manifest with a checksum of all that the dump's own snapshot has, once it came back as that.

    `snapshot` is the session whose transaction the dump was of. Raises as `prove_by_restoring`.
    """
    found = checksums(snapshot, [table for table in manifest.tables if table not in manifest.missing])
    objects = large_objects(snapshot)
    summed = replace(
        manifest,
        tables={**manifest.tables, **found},
        large_objects=objects.rows,
        large_objects_checksum=objects.checksum,
        verified="restore",
    )
    wrong = [table for table, one in found.items() if one.rows != manifest.tables[table].rows]
    if wrong:
        raise BackupFailed(f"the archive has not all rows of {', '.join(wrong)}")
    with fetched(store, summed, lambda _: filling.keep_going()) as archive:
        prove_by_restoring(archive, filling, workbench)
    return summed


def prove_by_restoring(archive: Archive, filling: Filling, workbench: Workbench) -> None:
    """Restore a stored archive into a scratch database, compare it with its manifest, and drop it.

    Raises `BackupFailed` when it does not come back as it was, `PolicyRefused` where no database may be made.
    """
    bare = replace(workbench.like, settings=(), extensions=(), schemas=(), has_public=True)
    try:
        with scratch_database(workbench.server, workbench.prefix, bare, lambda _: None) as scratch:
            filling.fill(scratch, archive)
            with scratch.reopen("the restored backup") as session:
                found = compare(session, archive.manifest)
    except StateRefused as error:
        raise PolicyRefused(
            f"MIGRATOR_BACKUP_VERIFY=restore: {error.message}", remedy=error.remedy
        ) from error
    if found.differences:
        raise BackupFailed(f"the backup does not come back as it was: {'; '.join(found.differences)}")


def _refuse_other_errors(child: Program) -> None:
    """Raise `BackupFailed` unless the one setting that the server does not know is all that it refused."""
    lines = child.complaints()
    told = [line for line in lines if "error:" in line]
    if len(told) > sum(line.strip() == _UNKNOWN_SETTING for line in lines):
        other = next((line for line in told if "transaction_timeout" not in line), told[0])
        raise BackupFailed(f"pg_restore failed: {other}")


def _conninfo(database: str) -> str:
    """A name that cannot be taken for a connection string; all else is in the environment."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
