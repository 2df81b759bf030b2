"""One restore: what goes where, handed from step to step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from migrator.backup.archive import Archive
from migrator.backup.manifest import Manifest
from migrator.backup.restorer import Restorer
from migrator.model import RevisionId
from migrator.postgres.databases import rights
from migrator.postgres.leader import LeaderLock
from migrator.postgres.session import Connector, Session
from migrator.postgres.standing import Standing
from migrator.steps.desk import Desk


@dataclass(frozen=True, slots=True)
class Restoration:
    """What was found possible before any work. The desk is bound to the server that was reached.

    Without a `lock`, the target is left alone: the backup only becomes a database beside it.
    """

    desk: Desk
    server: Connector  # leads to a database that is neither the target nor made by us
    lock: LeaderLock | None
    archive: Archive
    restorer: Restorer
    target: str
    name: str  # of the new database
    options: str  # of CREATE DATABASE
    standing: Standing  # of the target
    owner: str | None  # of the new database, where the role may give it to another
    keeps_owners: bool
    entries: tuple[str, ...]  # of the archive's list; all of them, if empty
    heads_before: tuple[RevisionId, ...]
    size_bytes: int  # of the database, when it was backed up

    @property
    def manifest(self) -> Manifest:
        """What the archive holds."""
        return self.archive.manifest

    @property
    def new(self) -> Connector:
        """Opens sessions to the new database."""
        connector = self.desk.connector
        return replace(connector, dsn=replace(connector.dsn, database=self.name))

    @contextmanager
    def acting(self) -> Iterator[Session]:
        """A session beside both databases, as the role that may do more with them."""
        with self.server.reopen("the server's other database") as session:
            rights(session, self.target)
            yield session
