"""Foresee: what each statement of a plan would lock in the target, how large that is, and how it may hurt."""

from collections.abc import Mapping
from dataclasses import dataclass

from migrator.model import VersionTable
from migrator.postgres.relations import Measured, Spelt, measure
from migrator.postgres.session import Session
from migrator.schema.locks import (
    Concern,
    Hazard,
    Lock,
    Scene,
    Statement,
    TableName,
    hazards_of,
    read,
    statements_of,
    tables_of,
)

LARGE_SIZE_BYTES = 100_000_000
LARGE_ROWS = 1_000_000
"""Above either, reading a table through takes long enough for somebody to notice who waits."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A lock, and the table that it meets: measured, made by the plan itself, or not found."""

    lock: Lock
    measured: Measured | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Danger:
    """A hazard, and the table it concerns, if it was found; whether that is large may be not known."""

    hazard: Hazard
    measured: Measured | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One statement of a plan. `unknown` is why it may lock more than is told."""

    statement: str
    meetings: tuple[Meeting, ...]
    dangers: tuple[Danger, ...]
    unknown: str | None
    is_alembics: bool


def foresee(
    session: Session, told: Mapping[str, str], version_tables: tuple[VersionTable, ...]
) -> dict[str, tuple[Foreseen, ...]]:
    """By revision, oldest first, what its statements would meet."""
    scripts = {revision: statements_of(sql) for revision, sql in told.items()}
    names = tables_of(one for script in scripts.values() for one in script)
    there = measure(session, [_spelt(one) for one in names])
    alembics = frozenset(one.name for one in version_tables)
    scene = Scene()
    return {
        revision: tuple(_foreseen(one, scene, there, alembics) for one in script)
        for revision, script in scripts.items()
    }


def _foreseen(
    statement: Statement, scene: Scene, there: Mapping[Spelt, Measured], alembics: frozenset[str]
) -> Foreseen:
    reading = read(statement)

    def found(table: TableName) -> Measured | None:
        return None if scene.is_new(table) else there.get(_spelt(scene.before(table)))

    meetings = tuple(Meeting(one, found(one.table), scene.is_new(one.table)) for one in reading.locks)
    dangers = tuple(
        Danger(one, found(one.table))
        for one in hazards_of(statement)
        if not scene.is_new(one.table) and _counts(one, found(one.table))
    )
    touched = {one.table.name for one in reading.locks} | ({reading.makes.name} if reading.makes else set())
    scene.play(statement)
    is_alembics = bool(touched) and touched <= alembics
    return Foreseen(statement.text, meetings, dangers, reading.unknown, is_alembics)


def _counts(hazard: Hazard, measured: Measured | None) -> bool:
    """Whether it hurts at that size; a table that is not known may be large."""
    return hazard.concern is Concern.OLD_PODS or measured is None or is_large(measured) is not False


def is_large(measured: Measured) -> bool | None:
    """Whether a table is large; None where that is not known."""
    if (measured.rows or 0) > LARGE_ROWS or (measured.size_bytes or 0) > LARGE_SIZE_BYTES:
        return True
    return None if measured.size_bytes is None else False


def _spelt(table: TableName) -> Spelt:
    return table.schema, table.name
