"""A version table that cannot be what Alembic wrote: what is wrong, and the statement that repairs it."""

from migrator.history.graph import Graph
from migrator.model import RevisionId, VersionRows


def what_is_corrupt(table: VersionRows, graph: Graph) -> str | None:
    """A sentence with the exact repair; None for a table that is in order."""
    if table.is_misshapen:
        return _misshapen(table)
    if table.nonsense:
        return _nonsense(table)
    redundant = graph.redundant(table.rows) if not graph.unknown(table.rows) else frozenset()
    return _two_of_one_lineage(table, redundant) if redundant else None


def _misshapen(table: VersionRows) -> str:
    name = table.table
    return (
        f"{name} has no column version_num: it is no version table; if it is left over, "
        f"ALTER TABLE {name} RENAME TO {name.name}_old, then `migrator adopt`"
    )


def _nonsense(table: VersionRows) -> str:
    rows = [one for one in table.nonsense if one is not None]
    conditions = ["version_num IS NULL"] if None in table.nonsense else []
    literals = ", ".join("'" + one.replace("'", "''") + "'" for one in rows)
    conditions += [f"version_num IN ({literals})"] if rows else []
    shown = ", ".join("NULL" if one is None else repr(one) for one in table.nonsense)
    return (
        f"{table.table} holds rows that are no revisions: {shown}; "  # noqa: S608 - for a person
        f"DELETE FROM {table.table} WHERE {' OR '.join(conditions)}"
    )


def _two_of_one_lineage(table: VersionRows, redundant: frozenset[RevisionId]) -> str:
    lower, heads = ", ".join(sorted(redundant)), ", ".join(sorted(table.rows - redundant))
    listed = ", ".join(f"'{one}'" for one in sorted(redundant))
    return (
        f"{table.table} holds two rows of one lineage: {lower} lies below {heads}; "  # noqa: S608 - for a person
        f"if the schema is at {heads}: DELETE FROM {table.table} WHERE version_num IN ({listed})"
    )
