"""A glance: a short session for whoever only looks, holds nothing, and can look again in a moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import psycopg

from migrator.errors import AccessDenied, DatabaseUnavailable, InterruptedMidway, MigratorError
from migrator.model import RevisionId, VersionRows, VersionTable
from migrator.postgres.catalog import quoted
from migrator.postgres.refusal import Verdict, verdict
from migrator.postgres.session import Connector, Session, first_line

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there was nothing to see, and what that means if it stands.

    It passes where the server is away, full or busy; a refusal may pass too, but only somebody can make it.
    """

    error: MigratorError
    passes: bool
    reached: bool

    @property
    def reason(self) -> str:
        """What Postgres said."""
        return self.error.message


def glance(connector: Connector, look: Callable[[Session], Found]) -> Found | Trouble:
    """Look in a session that is closed at once. Raises only what no second look can cure."""
    try:
        session = connector.open()
    except psycopg.OperationalError as error:
        said = first_line(error)
        if verdict(error) is Verdict.REFUSED:
            return Trouble(
                AccessDenied(f"Postgres refused the connection: {said}"), passes=False, reached=False
            )
        return Trouble(DatabaseUnavailable(f"Postgres did not answer: {said}"), passes=True, reached=False)
    try:
        with session:
            return look(session)
    except (DatabaseUnavailable, InterruptedMidway) as error:
        return Trouble(error, passes=True, reached=True)
    except AccessDenied as error:
        return Trouble(error, passes=False, reached=True)
    except MigratorError as error:
        if type(error) is not MigratorError:
            raise
        return Trouble(
            error, passes=False, reached=True
        )  # e.g. a table that was dropped between two statements


def rows_now(session: Session, before: Sequence[VersionRows]) -> tuple[VersionRows, ...] | None:
    """What these version tables hold now: one statement, however many tables there are.

    None where only a thorough look tells: a table that was not there is, or one has not its usual shape.
    Raises `DatabaseUnavailable` at once where somebody, most likely the leader, has locked one of them: two
    hundred who look must not queue there.
    """
    if any(one.is_corrupt for one in before):
        return None
    # Behind a pooler the session is the app's too: nothing may stay set in it.
    limited = session.rows(
        "SELECT set_config('lock_timeout', '50ms', false) WHERE pg_backend_pid() = %s",
        [session.client_side_pid],
    )
    if not limited:
        refuse_locked(session, [one.table for one in before])
    parts = " UNION ALL ".join(_part(number, one) for number, one in enumerate(before))
    names = [_name(one.table) for one in before if not one.exists]
    found: dict[int, set[RevisionId]] = {number: set() for number in range(len(before))}
    for number, value in session.rows(parts, [*names]):
        if value:
            found[number].add(RevisionId(value))
    if any(found[number] and not one.exists for number, one in enumerate(before)):
        return None
    return tuple(replace(one, rows=frozenset(found[number])) for number, one in enumerate(before))


def refuse_locked(session: Session, tables: Sequence[VersionTable]) -> None:
    """Raise `DatabaseUnavailable` if somebody changes one of them: who read it would have to wait."""
    locked = session.value(
        "SELECT string_agg(DISTINCT t.name, ', ') FROM pg_locks l JOIN unnest(%s::text[]) t(name) "
        "ON l.relation = to_regclass(t.name) AND l.mode = 'AccessExclusiveLock' "
        "WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [[_name(table) for table in tables]],
    )
    if locked:
        raise DatabaseUnavailable(f"{locked} is locked: somebody changes the version table right now")


def refuse_hidden(session: Session, tables: Sequence[VersionTable]) -> None:
    """Raise `AccessDenied` if one of these is on the search path in a schema that our role may not use.

    Postgres does not show it then, as if it were not there; who waits for it would wait for ever.
    """
    hidden = session.rows(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(%s) AND NOT has_schema_privilege(n.oid, 'USAGE') "
        "AND n.nspname = ANY(SELECT btrim(one, ' \"') FROM unnest(string_to_array("
        "replace(current_setting('search_path'), '$user', current_user::text), ',')) one)",
        [[table.name for table in tables if table.schema is None]],
    )
    for schema, name in hidden:
        raise AccessDenied(
            f"the role may not use the schema {quoted(schema)} of the version table",
            remedy=f"GRANT USAGE ON SCHEMA {quoted(schema)} and "
            f"GRANT SELECT ON {quoted(schema)}.{quoted(name)} to it",
        )


def _part(number: int, one: VersionRows) -> str:
    if not one.exists:
        return f"SELECT {number}, to_regclass(%s)::text"
    name = _name(one.table).replace("%", "%%")  # it stands in a text with parameters
    return f"SELECT {number}, version_num::text FROM {name}"  # noqa: S608 - quoted


def _name(table: VersionTable) -> str:
    return f"{quoted(table.schema)}.{quoted(table.name)}" if table.schema else quoted(table.name)
