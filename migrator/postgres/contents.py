"""How much stands in a table or a column: what a change would take with it."""

from migrator.errors import AccessDenied
from migrator.postgres.session import Session

# More need not be counted to know that it hurts.
MOST = 1_000_000
_IS_THERE = (
    "SELECT EXISTS (SELECT FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
    "AND NOT a.attisdropped "
    "WHERE c.oid = to_regclass(%s) AND (%s::text IS NULL OR quote_ident(a.attname) = %s))"
)


def rows_in(session: Session, table: str, column: str | None = None) -> int | None:
    """How many rows a table has, or how many of them have a value in this column; at most `MOST` + 1.

    Names are as SQL writes them. 0 where there is no such table or column, None where we may not look, or
    where a policy would hide rows from us.
    """
    where = f"WHERE {column} IS NOT NULL" if column else ""
    query = f"SELECT count(*) FROM (SELECT FROM {table} {where} LIMIT {MOST + 1}) one"  # noqa: S608 - quoted
    try:
        session.rows("SET row_security = off; SET statement_timeout = 0")
        is_there = session.value(_IS_THERE, [table, column, column])
        return int(session.value(query)) if is_there else 0
    except AccessDenied:
        return None
