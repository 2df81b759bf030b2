"""Half: what a revision committed before it died is told; it is repeated only where that is certain."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.errors import MigrationFailed
from migrator.history.halves import standing
from migrator.history.release import Release
from migrator.history.repeating import brief, indexes_in_doubt, why_uncertain
from migrator.history.undoing import undo_of
from migrator.ledger.halves import HalfApplied, read_half_applied
from migrator.postgres.catalog import InvalidIndex, index_validity
from migrator.postgres.session import Session
from migrator.steps.edited import shown_file
from migrator.steps.keep import asked, written
from migrator.steps.leadership import Leadership
from migrator.steps.plan import builds_index

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Half:
    """One note of the ledger, with what stands of it now; `why` it may not simply be run again, if so."""

    half: HalfApplied
    file: str
    invalid: tuple[InvalidIndex, ...]
    why: str | None

    @property
    def message(self) -> str:
        """What is known of it, in a sentence."""
        half = self.half
        since = f"{half.noted:%Y-%m-%d %H:%M:%SZ}"
        told = [f"revision {half.revision} ({self.file}) is half applied since {since}, by run {half.run_id}"]
        if half.committed_count:
            noun = "statement" if half.committed_count == 1 else "statements"
            named = "; ".join(map(brief, half.committed[:_NAMED]))
            more = f"; and {half.committed_count - _NAMED} more" if half.committed_count > _NAMED else ""
            told.append(f"committed: {half.committed_count} {noun}: {named}{more}")
        if half.begun:
            told.append(f"begun, and perhaps committed: {brief(half.begun)}")
        if self.invalid:
            told.append(f"INVALID: {', '.join(map(str, self.invalid))}")
        return "; ".join(told)

    @property
    def facts(self) -> dict[str, Any]:
        """The same for events."""
        return {
            "revision": self.half.revision,
            "file": self.file,
            "committed_statements": list(self.half.committed),
            "committed_count": self.half.committed_count,
            "unknown_statement": self.half.begun,
            "invalid_indexes": [str(one) for one in self.invalid],
            "half_applied_by": self.half.run_id,
            "half_applied_at": f"{self.half.noted:%Y-%m-%dT%H:%M:%SZ}",
            "backup_before": self.half.backup_location,
        }

    @property
    def remedy(self) -> str:
        """The choices, in order."""
        return (
            f"one of: (1) undo it: {self._undoing}; then `migrator run --retry`; (2) run the rest of "
            f"{self.file} by hand, `alembic stamp {self.half.revision}`, and compare with `migrator verify`; "
            f"(3) {self._going_back}"
        )

    @property
    def _going_back(self) -> str:
        if self.half.backup_location is None:
            return "restore a backup from before that run; the ledger names none"
        return f"go back to the backup that run had: `migrator restore {self.half.backup_location}`"

    @property
    def _undoing(self) -> str:
        half = self.half
        done = [*half.committed, *([half.begun] if half.begun else [])]
        undoes = [(one, undo_of(one)) for one in reversed(done)]
        told = [str(undo) if undo else f"by hand what {brief(one)} did" for one, undo in undoes]
        named = {undo.sql for _, undo in undoes if undo}
        left = [one.drop_statement for one in self.invalid if not any(one.name in sql for sql in named)]
        if half.committed_count > len(half.committed):
            told.insert(0, f"{half.committed_count - len(half.committed)} more that are not kept")
        return "; ".join([*left, *told])


def look_for_halves(leadership: Leadership, *, retry: bool) -> None:
    """Tell what the ledger knows to be half applied, before anything is done; `retry` is a person's word.

    Raises:
        MigrationFailed: running it again is not certain to be right, and nobody said that it is repaired.
    """
    desk = leadership.desk
    noted = asked(desk, read_half_applied) or ()
    halves = standing(noted, leadership.sight, leadership.release)
    if not halves:
        return
    with desk.connector.reopen("the indexes that were being built") as session:
        found = judged_halves(session, leadership.release, halves, leadership.invalid, desk.cwd)
    for one in found:
        ending = "" if one.why else "; it is certain that all of it may be run again"
        desk.events.record("hazard.found", one.message + ending, level="warning", **one.facts)
    if retry:
        written(desk, lambda ledger: ledger.settle(one.revision for one in halves))
        return
    for one in found:
        if one.why:
            raise MigrationFailed(
                f"{one.message}; it is not run again: {one.why}",
                remedy=one.remedy,
                half_applied=sorted({each.revision for each in halves}),
                **one.facts,
            )


def judged_halves(
    session: Session,
    release: Release,
    halves: Collection[HalfApplied],
    invalid_now: Collection[InvalidIndex],
    cwd: Path,
) -> list[Half]:
    """What stands of each now, and whether it is certain that its revision may be run again."""
    names = frozenset().union(*map(indexes_in_doubt, halves))
    validity = index_validity(session, names)
    found = []
    for half in halves:
        path = release.graph.by_id[half.revision].path
        source = _read(path)
        digest = hashlib.sha256(source or b"").hexdigest()
        why = why_uncertain(half, source, digest, validity)
        invalid = tuple(
            one
            for one in sorted(invalid_now)
            if one.name in indexes_in_doubt(half) or (source and builds_index(source, one.name))
        )
        found.append(Half(half, shown_file(path, cwd) if path else "no file of this release", invalid, why))
    return found


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError:
        return None
