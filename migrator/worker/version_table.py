"""The version table: where the database says which revisions it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.worker.driver import ask_through, literal
from migrator.worker.reports import Reports

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


def tell_version_table(context: MigrationContext, connection: Any, report: Reports) -> str:
    """Name the version table with the schema it really is in, or will be in."""
    name, schema = context.version_table, context.version_table_schema
    if schema is None:
        quoted = '"' + name.replace('"', '""') + '"'
        where = (
            "SELECT coalesce("  # noqa: S608
            f"(SELECT relnamespace FROM pg_class WHERE oid = to_regclass({literal(quoted)})), "
            "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))::regnamespace::text"
        )
        schema = _unquoted(ask_through(connection, where)[0])
    report("version_table", name=name, schema=schema)
    return f"{schema}.{name}"


def _unquoted(name: str | None) -> str | None:
    if name is not None and name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name
