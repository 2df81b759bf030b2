"""`migrator graph`: the revision history, drawn, with where the database stands in it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from migrator.account import Account
from migrator.errors import MigratorError, RevisionsInvalid
from migrator.history.lanes import drawn
from migrator.history.mermaid import flowchart, marks
from migrator.history.position import Place, position
from migrator.history.release import Release
from migrator.history.sight import Sight, judge
from migrator.model import Outcome, RevisionId
from migrator.postgres.glance import Trouble, glance
from migrator.postgres.session import Session
from migrator.steps.begin import load
from migrator.steps.desk import Desk
from migrator.steps.overview import UNKNOWN_TABLES
from migrator.steps.peek import peek
from migrator.telemetry.redaction import redacted

_WIDTH = 100
_SIGNS = {
    Place.ROW: "▶",
    Place.APPLIED: "●",
    Place.IN_PART: "◐",
    Place.PENDING: "○",
    Place.UNWANTED: "·",
    Place.UNKNOWN: "*",
}


@dataclass(frozen=True, slots=True)
class _Picture:
    """What there is to draw; `error` is what stood in the way of knowing all of it."""

    release: Release
    database: str | None = None
    sight: Sight | None = None
    error: MigratorError | None = None

    @property
    def places(self) -> Mapping[RevisionId, Place]:
        return position(self.release.graph, self.release.targets, self.sight)

    @property
    def headline(self) -> str:
        """Where the database stands, in one sentence, or why that is not known."""
        if self.sight is not None and self.sight.state is not None:
            return f"{self.database} is {self.sight.state.name}: {self.sight.state.reason}"
        why = self.error.message if self.error else UNKNOWN_TABLES
        return f"where the database stands is not known: {why}"

    @property
    def strangers(self) -> list[RevisionId]:
        """Version rows that this release has no revision for."""
        rows = self.sight.rows if self.sight else ()
        return sorted({row for one in rows for row in self.release.graph.unknown(one.rows)})


def graph(
    desk: Desk,
    account: Account,
    *,
    form: Literal["text", "mermaid"],
    show: Callable[[str, Mapping[str, Any]], None],
) -> Outcome:
    """Look once, and draw. Without a database the history is drawn all the same, and the exit code tells."""
    try:
        with account.phase("load"):
            release, several = _load(desk)
    except MigratorError as error:
        return account.failed(error)
    with account.phase("state"):
        picture = _looked(desk, release)
    if picture.database:
        account.reached(picture.database)
    if picture.sight:
        account.saw(picture.sight.state)
    lines = _flowchart(picture) if form == "mermaid" else _drawing(picture)
    show(desk.redact("\n".join(lines)), redacted(_document(picture), desk.redact))
    failure = several or picture.error
    return account.failed(failure) if failure else account.concluded("the history was drawn")


def _load(desk: Desk) -> tuple[Release, MigratorError | None]:
    """The release; where the target names no one revision, there is still a history to look at."""
    try:
        return load(desk), None
    except RevisionsInvalid as error:
        try:
            release = load(replace(desk, settings=replace(desk.settings, target="heads")))
        except RevisionsInvalid:
            raise error from None
        return replace(release, targets=frozenset()), error


def _looked(desk: Desk, release: Release) -> _Picture:
    def look(session: Session) -> _Picture:
        return _Picture(release, session.database, judge(peek(session, release), release))

    try:
        found = glance(desk.connector, look)
    except MigratorError as error:
        return _Picture(release, error=error)
    return _Picture(release, error=found.error) if isinstance(found, Trouble) else found


def _flowchart(picture: _Picture) -> Iterator[str]:
    yield f"%% {' '.join(picture.headline.split())}"
    yield from flowchart(picture.release.graph, picture.release.targets, picture.places)


def _drawing(picture: _Picture) -> Iterator[str]:
    history, places = picture.release.graph, picture.places
    yield picture.headline
    yield from (f"▶ {one}  (no revision of this release)" for one in picture.strangers)
    if not history.revisions:
        yield "this release has no revisions"
        return
    rows = list(drawn(history, lambda one: _SIGNS[places[one]]))
    width = max(len(row.lanes) for row in rows)
    for row in rows:
        text = row.lanes
        if row.revision is not None:
            one = history.by_id[row.revision]
            told = ", ".join(marks(one, history, picture.release.targets))
            text = (
                f"{row.lanes:<{width}}  {one.id}{f' ({told})' if told else ''}  {' '.join(one.doc.split())}"
            )
        yield _cut(text.rstrip())
    there = [place for place in Place if place in places.values()]
    yield ""
    yield "  ".join(f"{_SIGNS[place]} {place}" for place in there)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _document(picture: _Picture) -> dict[str, Any]:
    """The same for programs; what could not be told is null."""
    release, state = picture.release, picture.sight.state if picture.sight else None
    return {
        "database": picture.database,
        "state": state.name.value if state else None,
        "reason": state.reason if state else picture.headline,
        "targets": sorted(release.targets),
        "heads": sorted(release.graph.heads),
        "unknown_rows": picture.strangers,
        "revisions": [
            {
                "revision": one.id,
                "message": one.doc,
                "down_revision": list(one.down),
                "depends_on": list(release.graph.dependencies.get(one.id, ())),
                "branch_labels": sorted(one.labels),
                "file": str(one.path) if one.path else None,
                "place": picture.places[one.id].value,
            }
            for one in release.graph.revisions
        ],
    }
