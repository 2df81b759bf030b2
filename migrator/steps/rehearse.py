"""Rehearse: take the revisions back on a scratch database, and count what the target would lose by it."""

from collections.abc import Iterator
from dataclasses import dataclass

from migrator.errors import RecoveryFailed, StateRefused
from migrator.history.failure import Failure
from migrator.history.replay import Replayed
from migrator.history.way_back import WayBack
from migrator.model import RevisionId
from migrator.postgres.contents import MOST, rows_in
from migrator.postgres.session import Session
from migrator.schema.differences import differences
from migrator.schema.naming import quoted_words
from migrator.schema.snapshot import Snapshot
from migrator.steps.leadership import Leadership
from migrator.steps.workshop import Bench, model_of, workshop


@dataclass(frozen=True, slots=True)
class Dropped:
    """A table, or a column of one, that a downgrade takes away; names as SQL writes them."""

    revision: RevisionId
    table: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be lost: so many rows, or None where we may not look."""

    dropped: Dropped
    rows: int | None

    def __str__(self) -> str:
        """Say it as a person would."""
        one = self.dropped
        many = "rows that cannot be counted" if self.rows is None else _many(self.rows)
        what = f"column {one.table}.{one.column}, set in" if one.column else f"table {one.table} with"
        return f"revision {one.revision}: its downgrade drops {what} {many}"


def rehearse(leadership: Leadership, way: WayBack) -> tuple[Loss, ...]:
    """Everything with rows in it that the way back drops, newest revision first.

    Raises:
        RecoveryFailed: a downgrade fails.
        StateRefused: no scratch database may be made, or the history cannot be replayed on one.
    """
    desk, release = leadership.desk, leadership.release
    state = leadership.sight.state
    assert state is not None  # noqa: S101 - nothing is taken back from an unknown state
    with desk.connector.reopen("the schema") as session:
        model = model_of(session, release)
    with workshop(desk, release, model) as bench:
        dropped = tuple(_dropped(bench, way, release.graph.ancestors(state.heads)))
    with desk.connector.reopen("what would be lost") as session:
        return tuple(_losses(session, dropped))


def _dropped(bench: Bench, way: WayBack, applied: frozenset[RevisionId]) -> Iterator[Dropped]:
    up = bench.replayer.build_watched(applied)
    if up.failure is not None:
        raise StateRefused(
            f"the history cannot be replayed on an empty database: {_said(up.failure)}",
            remedy="name each revision with --accept-data-loss, or go back with `migrator restore`",
        )
    down = bench.replayer.take_back_watched(way.target, way.ids)
    if down.failure is not None:
        raise RecoveryFailed(
            f"cannot be taken back: {_said(down.failure)}",
            remedy="`migrator restore` goes back to a backup; nothing was changed",
        )
    yield from _dropped_on(down)


def _dropped_on(down: Replayed) -> Iterator[Dropped]:
    before: Snapshot | None = None
    for point in down.points:
        after = point.schema.without(down.tables)
        if before is not None and point.revision is not None:
            yield from _between(before, after, point.revision)
        before = after


def _between(before: Snapshot, after: Snapshot, revision: RevisionId) -> Iterator[Dropped]:
    for one in differences(before, after):
        if one.what == "missing" and one.kind == "table":
            yield Dropped(revision, one.name)
        elif one.what == "missing" and one.kind == "column":
            *table, column = quoted_words(one.name)
            yield Dropped(revision, ".".join(table), column)


def _losses(session: Session, dropped: tuple[Dropped, ...]) -> Iterator[Loss]:
    for one in dropped:
        rows = rows_in(session, one.table, one.column)
        if rows != 0:
            yield Loss(one, rows)


def _many(rows: int) -> str:
    if rows > MOST:
        return f"more than {MOST} rows"
    return f"{rows} row{'' if rows == 1 else 's'}"


def _said(failure: Failure) -> str:
    at = f"revision {failure.revision}: " if failure.revision else ""
    return at + failure.message + (f" ({failure.sqlstate})" if failure.sqlstate else "")
