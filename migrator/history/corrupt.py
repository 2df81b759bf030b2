"""A version table that cannot be what Alembic wrote: what is wrong, and the statement that repairs it."""

import re

from migrator.history.graph import Graph
from migrator.model import RevisionId, VersionRows

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def what_is_corrupt(table: VersionRows, graph: Graph) -> str | None:
    """A sentence with the exact repair; None for a table that is in order."""
    repair = repair_statement(table, graph)
    if repair is None:
        return None
    if table.is_misshapen:
        return _misshapen(table, repair)
    if table.nonsense:
        return _nonsense(table, repair)
    return _two_of_one_lineage(table, graph.redundant(table.rows), repair)


def repair_statement(table: VersionRows, graph: Graph) -> str | None:
    """The SQL alone; None for a table that is in order."""
    if table.is_misshapen:
        return f"ALTER TABLE {_name(table)} RENAME TO {_quoted(f'{table.table.name}_old')}"
    if table.nonsense:
        return f"DELETE FROM {_name(table)} WHERE {_is_nonsense(table)}"  # noqa: S608 - for a person
    redundant = graph.redundant(table.rows) if not graph.unknown(table.rows) else frozenset()
    if not redundant:
        return None
    listed = ", ".join(f"'{one}'" for one in sorted(redundant))
    return f"DELETE FROM {_name(table)} WHERE version_num IN ({listed})"  # noqa: S608 - for a person


def _name(table: VersionRows) -> str:
    """As SQL writes it."""
    parts = (table.table.schema, table.table.name)
    return ".".join(_quoted(one) for one in parts if one)


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _is_nonsense(table: VersionRows) -> str:
    rows = [one for one in table.nonsense if one is not None]
    conditions = ["version_num IS NULL"] if None in table.nonsense else []
    literals = ", ".join("'" + one.replace("'", "''") + "'" for one in rows)
    conditions += [f"version_num IN ({literals})"] if rows else []
    return " OR ".join(conditions)


def _misshapen(table: VersionRows, repair: str) -> str:
    return (
        f"{table.table} has no column version_num: it is no version table; if it is left over, "
        f"{repair}, then `migrator adopt`"
    )


def _nonsense(table: VersionRows, repair: str) -> str:
    shown = ", ".join("NULL" if one is None else repr(one) for one in table.nonsense)
    return f"{table.table} holds rows that are no revisions: {shown}; {repair}"


def _two_of_one_lineage(table: VersionRows, redundant: frozenset[RevisionId], repair: str) -> str:
    lower, heads = ", ".join(sorted(redundant)), ", ".join(sorted(table.rows - redundant))
    return (
        f"{table.table} holds two rows of one lineage: {lower} lies below {heads}; "
        f"if the schema is at {heads}: {repair}"
    )
