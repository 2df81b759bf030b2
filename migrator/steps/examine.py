"""Examine: whether a backup can be restored, before any work; all that stands in the way is told at once."""

from collections.abc import Collection
from dataclasses import dataclass, field

from migrator.backup.archive import Archive
from migrator.backup.comparison import version_tables
from migrator.backup.listing import Entry, listed
from migrator.backup.manifest import Manifest
from migrator.backup.restorer import find_restorer
from migrator.clock import utc_now
from migrator.errors import RecoveryFailed
from migrator.model import RevisionId
from migrator.postgres.catalog import database_size_bytes, quoted, read_version_rows
from migrator.postgres.databases import exists, maintenance, may_become, name_beside, rights
from migrator.postgres.leader import LeaderLock
from migrator.postgres.pooler import is_pooled
from migrator.postgres.scratch import Likeness, likeness
from migrator.postgres.session import Session
from migrator.postgres.standing import Standing, read_standing
from migrator.postgres.swap import occupants
from migrator.steps.desk import Desk
from migrator.steps.restoration import Restoration


@dataclass(slots=True)
class _Obstacles:
    """What stands in the way: of any restore, and of taking the target's place."""

    always: list[str] = field(default_factory=list)
    in_place: list[str] = field(default_factory=list)

    def refuse(self, manifest: Manifest, *, is_beside: bool) -> None:
        """Raise `RecoveryFailed` with all that matters here; where it helps, offer a database beside."""
        found = self.always if is_beside else [*self.always, *self.in_place]
        if not found:
            return
        beside = f"or leave the target alone: `migrator restore {manifest.file} --into NAME`"
        raise RecoveryFailed(
            f"nothing was restored, and nothing was swapped: {'; '.join(found)}",
            remedy="do what the message names" + (f", {beside}" if not self.always and not is_beside else ""),
            problems=found,
        )


def examine(
    desk: Desk, archive: Archive, lock: LeaderLock | None, *, into: str | None, disconnects: bool
) -> Restoration:
    """Look at roles, sessions, extensions, clients and names.

    Raises `RecoveryFailed` with everything that was found, `PolicyRefused` where no client can do it.
    """
    manifest = archive.manifest
    with desk.connector.reopen("the database to replace") as session:
        if is_pooled(session):
            raise RecoveryFailed(
                "nothing was swapped: the connection goes through a pooler, which keeps sessions in the "
                "database",
                remedy="set MIGRATOR_DIRECT_DATABASE_URL to Postgres itself",
            )
        target = session.database
        server = maintenance(desk.connector, session)
        like = likeness(session)
        restorer = find_restorer(desk.settings.pg_bin, manifest.client_version, session.server_version)
        heads = _heads(session, manifest)
        obstacles = _Obstacles(in_place=_within(session, manifest))
        obstacles.always += _extensions(session, manifest)
        size = manifest.database_size_bytes or database_size_bytes(session)
        roles = [name for (name,) in session.rows("SELECT rolname FROM pg_roles")]
        entries = listed(archive, restorer.client, roles, desk.stop.check)
        strangers, left_out = _strangers(session, entries)
    name = into or name_beside(target, "restore", f"{utc_now():%Y%m%d%H%M%S}")
    with server.reopen("the server's other database") as session:
        may = rights(session, target)
        if not may.creates:
            obstacles.always.append("the role may not create databases (ALTER ROLE … CREATEDB)")
        obstacles.always += [f"there is a database {name} already"] if exists(session, name) else []
        if not may.owns:
            obstacles.in_place.append("the role does not own the database, and so may not rename it")
        elif not may.takes_owner:
            obstacles.in_place.append("the role may not make a database for the owner of this one")
        standing = read_standing(session, target)
    with server.reopen("the sessions in the database") as session:
        ours = [lock.session.client_side_pid] if lock else []
        obstacles.in_place += _sessions(session, target, ours, disconnects=disconnects)
    obstacles.in_place += [_strange(strangers)] if strangers else []
    obstacles.refuse(manifest, is_beside=into is not None)
    return Restoration(
        desk=desk,
        server=server,
        lock=lock,
        archive=archive,
        restorer=restorer,
        target=target,
        name=name,
        options=_options(manifest, like, standing),
        standing=standing,
        owner=standing.owner if may.takes_owner else None,
        keeps_owners=not strangers,
        entries=tuple(one.line for one in entries if one not in left_out) if left_out else (),
        heads_before=heads,
        size_bytes=size,
    )


def _options(manifest: Manifest, like: Likeness, standing: Standing) -> str:
    """Encoding and collation as they were, and the tablespace that the target has now."""
    options = manifest.creation.options if manifest.creation else like.options
    if standing.tablespace == "pg_default":
        return options
    return f"{options} TABLESPACE {quoted(standing.tablespace)}"


def _heads(session: Session, manifest: Manifest) -> tuple[RevisionId, ...]:
    """The version rows that will be replaced, in the tables that the backup knows."""
    found = read_version_rows(session, version_tables(manifest))
    return tuple(sorted({row for one in found for row in one.rows}))


def _within(session: Session, manifest: Manifest) -> list[str]:
    """What of the target and of the backup forbids that one takes the other's place."""
    found = []
    if manifest.is_partial:
        missing = ", ".join(manifest.missing)
        found.append(f"the backup is partial, these tables would come back empty: {missing}")
    prepared = session.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
    if prepared:
        found.append(f"transactions are prepared in the database: {_names(prepared)} (ROLLBACK PREPARED)")
    if subscriptions := session.rows(
        "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid "
        "WHERE d.datname = current_database()"
    ):
        found.append(f"the database subscribes to {_names(subscriptions)}, which it would lose")
    return found


def _extensions(session: Session, manifest: Manifest) -> list[str]:
    missing = session.rows(
        "SELECT e FROM unnest(%s::text[]) e WHERE NOT EXISTS "
        "(SELECT FROM pg_available_extensions a WHERE a.name = e) ORDER BY 1",
        [list(manifest.extensions)],
    )
    return [f"the server has no extension {_names(missing)}"] if missing else []


def _sessions(session: Session, target: str, ours: Collection[int], *, disconnects: bool) -> list[str]:
    there = occupants(session, target, ours)
    if not disconnects and there:
        return [f"these are connected, and --disconnect would end them: {'; '.join(map(str, there))}"]
    immune = [str(one) for one in there if not one.may_be_ended]
    if not immune:
        return []
    return [f"this role may not end these sessions: {'; '.join(immune)} (GRANT pg_signal_backend to it)"]


def _strangers(session: Session, entries: tuple[Entry, ...]) -> tuple[list[str], list[Entry]]:
    """Owners that this role may not become, and what need not be restored because it is theirs.

    The schema `public` of a cluster that was upgraded from 14 or older belongs to a superuser.
    """
    owners = tuple({one.owner for one in entries} - {""})
    known = may_become(session, owners)
    foreign = [one for one in entries if one.owner and one.owner not in known]
    left_out = [one for one in foreign if one.is_public_itself]
    return sorted({one.owner for one in foreign if not one.is_about_public}), left_out


def _strange(roles: list[str]) -> str:
    return (
        f"the backup holds objects of {', '.join(roles)}, which this role may not become: they could not "
        "keep their owner (GRANT these roles to it, or restore as who may)"
    )


def _names(rows: list[tuple[str]] | list[tuple[object, ...]]) -> str:
    return ", ".join(str(name) for (name,) in rows)
