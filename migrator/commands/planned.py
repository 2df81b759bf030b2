"""A revision of a plan, as it is told: SQL and comments for people, facts for programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from migrator.history.promise import Promise
from migrator.model import Revision
from migrator.postgres.relations import Measured
from migrator.schema.locks import EFFECTS, Concern
from migrator.steps.foresee import Danger, Foreseen, Meeting, is_large
from migrator.telemetry.wording import sized

_MOST_SHOWN = 90
_DECIDES = "upgrade() is more than plain calls of Alembic's: what a run sends may depend on what it finds"


@dataclass(frozen=True, slots=True)
class Planned:
    """A pending revision: what its file promises, its SQL or why there is none, and what that would meet."""

    revision: Revision
    promise: Promise
    file: str
    sql: str | None = None
    untold: str = ""
    foreseen: tuple[Foreseen, ...] = ()

    def document(self, *, with_sql: bool) -> dict[str, Any]:
        """For programs."""
        one = self.revision
        entry: dict[str, Any] = {
            "revision": one.id,
            "message": one.doc,
            "description": self.promise.words,
            "down_revision": list(one.down),
            "file": str(one.path) if one.path else None,
            "transactional": self.promise.transactional,
            "commits_by": self.promise.why_not,
        }
        if not with_sql:
            return entry
        return entry | {
            "sql": self.sql,
            "sql_may_differ": self.promise.decides,
            "statements": [_statement(found) for found in self.foreseen],
        }

    def page(self, *, with_sql: bool) -> str:
        """For people."""
        title = f"{self.revision.id}  {_in_one_line(self.revision.doc)}".rstrip()
        about = list(self._about())
        if not with_sql:
            return "\n".join([f"  {title}", *(f"      {line}".rstrip() for line in about)])
        lines = ["", f"-- {title}", *(f"--     {line}".rstrip() for line in about)]
        if self.sql is None:
            return "\n".join([*lines, f"-- {_in_one_line(self.untold)}"])
        if self.promise.decides:
            lines.append(f"-- {_DECIDES}")
        told = (one for one in self.foreseen if not one.is_alembics)
        met = [line for _, alike in groupby(told, _kind) for line in _lines(*alike)]
        return "\n".join([*lines, self.sql, *(f"-- {line}" for line in (["locks:", *met] if met else []))])

    def _about(self) -> Iterator[str]:
        yield from self.promise.words.splitlines()
        if self.file:
            yield f"file: {self.file}"
        if self.promise.transactional is None:
            yield "transactional: not known, its file cannot be read"
        elif self.promise.why_not:
            yield f"transactional: no, {self.promise.why_not}: a failure leaves what was committed before"
        else:
            yield "transactional: yes, as far as its file tells"


def _statement(found: Foreseen) -> dict[str, Any]:
    return {
        "statement": found.statement,
        "locks": [_met(one) for one in found.meetings],
        "unknown": found.unknown,
        "hazards": [_danger(one) for one in found.dangers],
    }


def _met(meeting: Meeting) -> dict[str, Any]:
    return {
        "mode": meeting.lock.mode.value,
        "table": str(meeting.measured or meeting.lock.table),
        "made_by_this_plan": meeting.is_new,
        "found": meeting.measured is not None,
        "estimated_rows": meeting.measured.rows if meeting.measured else None,
        "size_bytes": meeting.measured.size_bytes if meeting.measured else None,
    }


def _danger(danger: Danger) -> dict[str, Any]:
    return {
        "event": "hazard.found",
        "hazard": danger.hazard.id,
        "table": str(danger.measured or danger.hazard.table),
        "why": danger.hazard.why,
        "remedy": danger.hazard.remedy,
        "is_certain": _doubt(danger) == "",
    }


def _kind(found: Foreseen) -> tuple[Any, ...]:
    """What statements have in common that are told of once: a revision may insert rows by the thousand."""
    return found.statement.split()[:2], found.meetings, found.dangers, found.unknown


def _lines(found: Foreseen, *more: Foreseen) -> Iterator[str]:
    """What a statement, and those after it that are like it, would meet; nothing if that is nothing."""
    if not (found.meetings or found.unknown or found.dangers):
        return
    words = _in_one_line(found.statement)
    shown = words if len(words) <= _MOST_SHOWN else words[: _MOST_SHOWN - 1] + "…"
    yield f"  {shown}{f'  (and {len(more)} more like it)' if more else ''}"
    for one in found.meetings:
        yield f"    {one.lock.mode} on {_standing(one)}: {EFFECTS[one.lock.mode]}"
    if found.unknown:
        yield f"    {found.unknown}"
    for danger in found.dangers:
        table = danger.measured or danger.hazard.table
        yield f"    hazard.found {danger.hazard.id} on {table}: {danger.hazard.why}{_doubt(danger)}"
        yield f"      safe: {danger.hazard.remedy}"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _standing(meeting: Meeting) -> str:
    if meeting.is_new:
        return f"{meeting.lock.table} (made by this plan)"
    if meeting.measured is None:
        return f"{meeting.lock.table} (not found by this role: its size is not known)"
    return f"{meeting.measured} ({_extent(meeting.measured)})"


def _extent(table: Measured) -> str:
    rows = (
        "rows not known: never analyzed" if table.rows is None else f"about {table.rows:,} rows by estimate"
    )
    size = "size not known: locked" if table.size_bytes is None else sized(table.size_bytes)
    return f"{rows}, {size}"


def _doubt(danger: Danger) -> str:
    if danger.measured is None:
        return "; whether it is there, and large, is not known"
    if danger.hazard.concern is Concern.LARGE_TABLE and is_large(danger.measured) is None:
        return "; whether it is large is not known"
    return ""
