"""The workshop: a scratch database like the target, and workers that build the release's revisions there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from migrator.history.launch import IDENTITY_SQL
from migrator.history.listen import Listener
from migrator.history.release import Release
from migrator.history.replay import Replayer
from migrator.postgres.scratch import Likeness, likeness, scratch_database, scratch_prefix
from migrator.postgres.session import Connector, Session
from migrator.schema.reading import read_snapshot
from migrator.schema.snapshot import Snapshot
from migrator.steps.desk import Desk
from migrator.steps.launching import launch_for
from migrator.telemetry.events import EventName, Events, Level


@dataclass(frozen=True, slots=True)
class Model:
    """What of the live database a workshop is made after, and compared with."""

    schema: Snapshot
    likeness: Likeness
    prefix: str


@dataclass(frozen=True, slots=True)
class Bench:
    """One scratch database of a workshop."""

    replayer: Replayer
    connector: Connector

    def schema(self) -> Snapshot:
        """What stands there now."""
        with self.connector.reopen("the scratch database") as session:
            return read_snapshot(session)


def model_of(session: Session, release: Release) -> Model:
    """Read the live database. Extensions and schemas that a revision makes are left to it."""
    like = likeness(session)
    makes = release.makers()
    return Model(
        read_snapshot(session),
        replace(
            like,
            extensions=tuple(one for one in like.extensions if not makes("extension", one[0])),
            schemas=tuple(one for one in like.schemas if not makes("schema", one)),
        ),
        scratch_prefix(session),
    )


@contextmanager
def workshop(desk: Desk, release: Release, model: Model) -> Iterator[Bench]:
    """A fresh scratch database, dropped at the end of the block.

    Raises `StateRefused` where none may be made.
    """
    server = scratch_server(desk)

    def told(message: str) -> None:
        desk.events.record("hazard.found", message, level="warning")

    with scratch_database(server, model.prefix, model.likeness, told) as by_name:
        with by_name.reopen("the scratch database") as session:
            host, port = session.address
            there = by_name.dsn.at(host, port, session.numeric_address) if host else by_name.dsn
            identity = str(session.value(IDENTITY_SQL))
        launch = launch_for(desk, release, identity).on_scratch(there, identity)
        launch = replace(launch, settings=replace(launch.settings, role=server.role))
        connector, docs = replace(by_name, dsn=there), release.graph.docs
        listener = Listener(launch, connector, desk.clock, _Offstage(desk.events), desk.stop.check, docs)
        yield Bench(Replayer(listener, release.graph), connector)


def scratch_server(desk: Desk) -> Connector:
    """Where scratch databases are made; another server need not know the role that owns the target."""
    given = desk.settings.scratch_database_url
    if given is None:
        return desk.connector
    server = replace(desk.connector, dsn=given, role=None)
    with server.reopen("the server of the scratch database") as session:
        known = (
            "SELECT count(*) FROM pg_roles WHERE rolname = %s AND pg_has_role(session_user, oid, 'MEMBER')"
        )
        has_role = desk.settings.role is not None and session.value(known, [desk.settings.role])
    return replace(server, role=desk.settings.role) if has_role else server


class _Offstage:
    """What happens on a scratch database is not what happens to the target: it is told to who asks for it."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def record(self, event: EventName, message: str, *, level: Level = "info", **facts: Any) -> None:
        """Tell it as being of the scratch database; what went wrong stays a warning."""
        del level
        self._events.record(
            event, f"on the scratch database: {message}", level="debug", scratch=True, **facts
        )


def listed(sentences: Sequence[str], most: int = 5) -> str:
    """As many as fit into a sentence."""
    more = f" and {len(sentences) - most} more" if len(sentences) > most else ""
    return "; ".join(sentences[:most]) + more
