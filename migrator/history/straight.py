"""Whether `upgrade()` sends the same statements whenever it runs, told from its file."""

import ast
import warnings
from collections.abc import Iterator

# Whatever chooses, repeats or hides. A plain name that is assigned may hold what the database answered.
_WINDING = (
    ast.If,
    ast.IfExp,
    ast.BoolOp,
    ast.For,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.Match,
    ast.Lambda,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.comprehension,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.NamedExpr,
    ast.Global,
    ast.Delete,
    ast.Raise,
    ast.Assert,
    ast.Return,
)
_TRUSTED = ("alembic", "sqlalchemy")
# What goes below SQLAlchemy, or past the connection that is watched: what is committed there is in no record.
_UNSEEN = frozenset(
    "connection cursor raw_connection driver_connection dbapi_connection detach engine create_engine "
    "create_async_engine engine_from_config".split()
)


def is_straight(source: bytes) -> bool:
    """Whether it is one plain function that calls Alembic and SQLAlchemy alone, line by line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a revision must not reach our standard error
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == "upgrade"]
    if len(found) != 1 or found[0] not in tree.body or found[0].decorator_list:
        return False
    inside = [one for statement in found[0].body for one in ast.walk(statement)]
    trusted = {*_imported(tree), *_opened(inside)}
    return not any(isinstance(one, _WINDING) or _named(one) in _UNSEEN for one in inside) and all(
        _root(one) in trusted and not _may_answer(one) for one in inside if isinstance(one, ast.Call)
    )


def _named(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _imported(tree: ast.Module) -> Iterator[str]:
    for one in tree.body:
        if isinstance(one, ast.Import):
            names = [(alias.name, alias.asname or alias.name.partition(".")[0]) for alias in one.names]
        elif isinstance(one, ast.ImportFrom) and not one.level:
            names = [(one.module or "", alias.asname or alias.name) for alias in one.names]
        else:
            continue
        yield from (bound for name, bound in names if name.partition(".")[0] in _TRUSTED)


def _opened(inside: list[ast.AST]) -> Iterator[str]:
    """What `with op.batch_alter_table(…) as batch` gives is Alembic's too."""
    for one in inside:
        if isinstance(one, ast.withitem) and isinstance(one.optional_vars, ast.Name):
            yield one.optional_vars.id


def _root(call: ast.Call) -> str | None:
    """The name a chain of attributes and calls begins with."""
    node: ast.expr = call
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute):
            node = node.value
        else:
            return None
    return node.id


def _may_answer(call: ast.Call) -> bool:
    """Whether what the database said, or other code, may decide what is sent."""
    given = [*call.args, *(one.value for one in call.keywords)]
    asked = [one for argument in given for one in ast.walk(argument) if isinstance(one, ast.Attribute)]
    return any(one.attr in {"get_bind", "get_context", "inspect"} for one in asked) or (
        isinstance(call.func, ast.Attribute) and call.func.attr in {"run_async", "invoke"}
    )
