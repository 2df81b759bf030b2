"""Which tables pending revisions alter, as far as reading them without running them tells."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from migrator.model import Revision, RevisionId
from migrator.postgres.session import Session

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_TABLE = rf"(?:ONLY\s+)?(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)"
_IN_SQL = (
    re.compile(
        rf"\b(?:ALTER|DROP)\s+(?:FOREIGN\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?(?!IF\b){_TABLE}", re.IGNORECASE
    ),
    re.compile(
        rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s(?:(?!\bON\b)[^;])*?\bON\s+(?!ONLY\s*$){_TABLE}", re.IGNORECASE
    ),
    re.compile(
        rf"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\s[^;]*?\bON\s+{_TABLE}", re.IGNORECASE
    ),
    re.compile(rf"\bCOMMENT\s+ON\s+TABLE\s+{_TABLE}", re.IGNORECASE),
)
# Where Alembic's operations take the table: its place among the arguments, and its name as a keyword.
_OPERATIONS = {
    **dict.fromkeys(
        (
            "add_column",
            "drop_column",
            "alter_column",
            "batch_alter_table",
            "drop_table",
            "create_table_comment",
        ),
        (0, "table_name"),
    ),
    **dict.fromkeys(
        (
            "create_index",
            "drop_index",
            "create_unique_constraint",
            "create_check_constraint",
            "create_primary_key",
            "create_exclude_constraint",
            "drop_constraint",
        ),
        (1, "table_name"),
    ),
    "drop_table_comment": (0, "table_name"),
    "rename_table": (0, "old_table_name"),
    "create_foreign_key": (1, "source_table"),
}
_SQL = frozenset({"execute", "text", "DDL", "exec_driver_sql"})


@dataclass(frozen=True, slots=True)
class Mentions:
    """What revisions seem to alter, as (schema or None, name); and those that do not say it plainly."""

    tables: frozenset[tuple[str | None, str]] = frozenset()
    uncertain: tuple[RevisionId, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table that stands in the database."""

    oid: int
    name: str  # with its schema, quoted where needed
    owner: str
    owner_is_superuser: bool
    is_ours: bool  # to alter


@dataclass(frozen=True, slots=True)
class Altered:
    """Those of the tables that stand; `uncertain` are the revisions that may alter others."""

    known: tuple[Table, ...]
    uncertain: tuple[RevisionId, ...]


def altered_tables(session: Session, revisions: Iterable[Revision]) -> Altered:
    """Look up what these revisions alter; a bare name is what the search path finds, else any such."""
    found = mentions(revisions)
    if not found.tables:
        return Altered((), found.uncertain)
    named = sorted(found.tables, key=str)
    rows = session.rows(_STANDING, [[schema for schema, _ in named], [name for _, name in named]])
    return Altered(tuple(Table(*row) for row in rows), found.uncertain)


_STANDING = """
SELECT DISTINCT c.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
    pg_get_userbyid(c.relowner)::text, o.rolsuper, pg_has_role(c.relowner, 'USAGE')
FROM unnest(%s::text[], %s::text[]) m(schema, name)
JOIN pg_class c ON c.relname = m.name AND c.relkind IN ('r', 'p', 'f')
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
JOIN pg_roles o ON o.oid = c.relowner
WHERE m.schema = n.nspname
OR m.schema IS NULL AND (to_regclass(quote_ident(m.name)) IS NULL OR to_regclass(quote_ident(m.name)) = c.oid)
ORDER BY 2
"""


def mentions(revisions: Iterable[Revision]) -> Mentions:
    """Read their files."""
    tables: set[tuple[str | None, str]] = set()
    uncertain = []
    for revision in revisions:
        found = _read(revision)
        tables |= {one for one in found if one is not None}
        if None in found:
            uncertain.append(revision.id)
    return Mentions(frozenset(tables), tuple(uncertain))


def _read(revision: Revision) -> set[tuple[str | None, str] | None]:
    """What one revision alters; None among them stands for what cannot be told."""
    try:
        tree = ast.parse(revision.path.read_bytes()) if revision.path else None
    except (OSError, SyntaxError, ValueError, RecursionError):
        tree = None
    if tree is None:
        return {None}
    calls = [one for one in _code(tree) if isinstance(one, ast.Call)]
    return {table for call in calls for table in _altered_by(call)}


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that an upgrade may run."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.FunctionDef) and child.name.startswith("downgrade")):
            yield child
            yield from _code(child)


def _altered_by(call: ast.Call) -> Iterator[tuple[str | None, str] | None]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _SQL and call.args:
        yield from _in_sql(call.args[0])
    elif name in _OPERATIONS and not _is_batch(call):
        place, keyword = _OPERATIONS[name]
        given = call.args[place] if len(call.args) > place else _keyword(call, keyword)
        schema = _keyword(call, "source_schema" if keyword == "source_table" else "schema")
        if (
            given is None and name == "drop_index"
        ):  # it may go without, and an index has one owner with its table
            yield None
        elif isinstance(given, ast.Constant) and isinstance(given.value, str):
            yield _constant(schema), given.value
        else:
            yield None


def _is_batch(call: ast.Call) -> bool:
    """Whether it is an operation inside `with op.batch_alter_table(…) as batch_op`, which names the table."""
    return isinstance(call.func, ast.Attribute) and "batch" in getattr(call.func.value, "id", "")


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _in_sql(node: ast.expr) -> Iterator[tuple[str | None, str] | None]:
    text = _constant(node)
    if text is None:
        # `op.execute(sa.text("…"))`: the inner call is read by itself
        if not (isinstance(node, ast.Call) and node.args):
            yield None
        return
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    for pattern in _IN_SQL:
        for match in pattern.finditer(plain):
            parts = [_unquoted(one) for one in re.findall(_NAME, match["table"])]
            yield (parts[0], parts[1]) if len(parts) > 1 else (None, parts[0])
    if re.search(r"\bDO\b\s*(?:LANGUAGE\s+\w+\s*)?\$", plain, re.IGNORECASE):
        yield None


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
