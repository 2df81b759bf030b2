"""Revisions that leave a trace: each appends its id to a table, so nothing is applied twice unseen."""

from tests.support.project import Project
from tests.support.target import Target

_CREATE = "op.execute('CREATE TABLE journal (revision text, at timestamptz DEFAULT clock_timestamp())')"
_APPEND = "op.execute(\"INSERT INTO journal (revision) VALUES ('{id}')\")"


def write_journal(project: Project, *ids: str, seconds: float = 0.0, begins: bool = True) -> None:
    """Write revisions that append their id and then take so many seconds; the first makes the table."""
    for number, id_ in enumerate(ids):
        lines = [_CREATE] if begins and number == 0 else []
        lines.append(_APPEND.format(id=id_))
        if seconds:
            lines.append(f"op.execute('SELECT pg_sleep({seconds})')")
        project.write_revision(id_, upgrade="\n".join(lines))


def journal(target: Target) -> list[str]:
    """Give the ids in the order in which they were appended; empty when nothing was made."""
    if target.value("SELECT to_regclass('journal')") is None:
        return []
    return [id_ for (id_,) in target.rows("SELECT revision FROM journal ORDER BY at")]


def version(target: Target, table: str = "alembic_version") -> list[str]:
    """Give the version rows; empty when there is no such table."""
    if target.value("SELECT to_regclass(%s)", table) is None:
        return []
    return [row for (row,) in target.rows(f"SELECT version_num FROM {table} ORDER BY 1")]
