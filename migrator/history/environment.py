"""Reads from the text of `env.py` which version table it configures, where that is certain.

Wrong certainty would let a deploy compare the wrong rows; uncertainty only costs the time of a worker. So
this knows the shape of Alembic's templates, with literal table names, and gives up on everything else:
keywords passed on with `**`, loops over tenants, a helper that configures, SQL that moves the search path.

What the text does not show is not seen: an engine of the app's that sets its own search path, or a project's
own command that gives Alembic's `EnvironmentContext` a version table.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from migrator.model import VersionTable

_TABLE, _SCHEMA = "version_table", "version_table_schema"

# Where one of these is at work, a bare table name may mean another table than in a session of ours.
_MOVES_TABLES = re.compile(
    r"search_path|schema_translate_map|default_schema_name|currentschema|set_config"
    r"|\bset\s+(?:local\s+|session\s+)?(?:schema|role|authorization)\b",
    re.IGNORECASE,
)
_UNREADABLE = frozenset({"exec", "globals", "locals", "vars", "setattr", "runpy", "__import__"})


class _Uncertain(Exception):
    """The text may configure something other than what can be read."""


def read_version_table(env_py_source: str) -> VersionTable | None:
    """Read the one version table that `env.py` configures, or None when that is not certain."""
    if _MOVES_TABLES.search(env_py_source):
        return None
    try:
        with warnings.catch_warnings():
            # "\d" in someone's env.py must not reach our standard error
            warnings.simplefilter("ignore")
            tree = ast.parse(env_py_source)
        return _only_table(tree)
    except (_Uncertain, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _only_table(tree: ast.Module) -> VersionTable:
    """Find the table on which all calls of `context.configure` agree, if nothing else can configure one."""
    context = _context_name(tree)
    for node in ast.walk(tree):
        if _is_unreadable(node, context):
            raise _Uncertain
    reading = _Reading(context)
    reading.visit(tree)
    reading.check()
    calls = [call for call, _ in reading.configured]
    tables = {_table(call, tree) for call in calls}
    if len(tables) != 1 or _count_table_keywords(tree) != sum(map(_count_table_keywords, calls)):
        raise _Uncertain
    return tables.pop()


def _context_name(tree: ast.Module) -> str:
    """Find the name of `alembic.context`, which nothing but parameters of functions may share."""
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "alembic"
        for alias in node.names
        if alias.name == "context"
    ]
    if len(set(imported)) != 1:
        raise _Uncertain
    nodes = (node for node in ast.walk(tree) if not isinstance(node, ast.arg))
    if list(_bound(nodes)).count(imported[0]) != len(imported):
        raise _Uncertain
    return imported[0]


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str | None]:
    """Every name that the nodes bind, in whatever scope, as often as they do."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
                yield name
            case ast.MatchMapping(rest=name):
                yield name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names
            case _:
                pass


def _is_unreadable(node: ast.AST, context: str) -> bool:
    """Whether a node could configure a version table by a way that is not followed here."""
    match node:
        case ast.alias(name="*" | "alembic" | "alembic.context"):
            return True
        case ast.Name(id=name) | ast.alias(name=name) if name in _UNREADABLE:
            return True
        case ast.Call(func=ast.Name(id="MigrationContext" | "EnvironmentContext")):
            return True
        case ast.Attribute(attr="configure", value=owner):
            return not _is_name(owner, context)
        case ast.Attribute(attr=text) | ast.Constant(value=str(text)):
            return _TABLE in text
        case _:
            return False


def _is_name(node: ast.AST, name: str) -> bool:
    """Whether the node is that plain name."""
    return isinstance(node, ast.Name) and node.id == name


@dataclass(slots=True)
class _Reading(ast.NodeVisitor):
    """Collects the calls of `context.configure`, and who calls whom; "" stands for the module itself.

    Raises `_Uncertain` as soon as a shape is not known.
    """

    context: str
    configured: list[tuple[ast.Call, str]] = field(default_factory=list)
    mentions: list[tuple[str, str, bool]] = field(default_factory=list)
    decorated: set[str] = field(default_factory=set)
    runs_migrations: bool = False
    function: str = ""
    repeated: bool = False

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Enter a function, except for one whose own parameter is called like the context."""
        if node.decorator_list:
            self.decorated.add(node.name)
        if self.context in _bound(ast.walk(node.args)):
            return
        outer, self.function = self.function, node.name
        self.generic_visit(node)
        self.function = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def _visit_repeated(self, node: ast.AST) -> None:
        """Enter what may run more than once, or is called in ways that are not followed."""
        outer, self.repeated = self.repeated, True
        self.generic_visit(node)
        self.repeated = outer

    visit_For = visit_AsyncFor = visit_While = visit_ClassDef = visit_Lambda = _visit_repeated  # noqa: N815
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_repeated  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        """Note a call; `connection.run_sync(function)` calls its argument."""
        match node.func:
            case ast.Attribute(attr="configure"):
                self._configure(node)
            case ast.Name(id=name):
                self._mention(name, called=True)
            case function:
                self.visit(function)
        calls_arguments = isinstance(node.func, ast.Attribute) and node.func.attr == "run_sync"
        for argument in (*node.args, *node.keywords):
            if calls_arguments and isinstance(argument, ast.Name):
                self._mention(argument.id, called=True)
            else:
                self.visit(argument)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note what is used of the context; its `configure` is only known when it is called."""
        if not _is_name(node.value, self.context):
            self.generic_visit(node)
        elif node.attr == "configure":
            raise _Uncertain
        self.runs_migrations |= node.attr == "run_migrations"

    def visit_Name(self, node: ast.Name) -> None:
        """Note a name that is passed around; what others do with the context cannot be seen."""
        self._mention(node.id, called=False)

    def check(self) -> None:
        """Make sure that the module itself runs, once and in plain sight, a migration over a connection."""
        configuring = self._closure({function for _, function in self.configured}, upwards=True)
        if any(name in configuring and not plainly for _, name, plainly in self.mentions):
            raise _Uncertain
        live = self._closure({""}, upwards=False)
        online = any(function in live and _has_connection(call) for call, function in self.configured)
        if not (online and self.runs_migrations) or configuring & self.decorated:
            raise _Uncertain

    def _configure(self, call: ast.Call) -> None:
        """Note a call of `context.configure`, if all its arguments are in sight."""
        hidden = any(keyword.arg is None for keyword in call.keywords)
        if self.repeated or hidden or any(isinstance(argument, ast.Starred) for argument in call.args):
            raise _Uncertain
        self.configured.append((call, self.function))

    def _mention(self, name: str, *, called: bool) -> None:
        """Note that the current function uses a name, and whether it does no more than call it once."""
        if name == self.context:
            raise _Uncertain
        self.mentions.append((self.function, name, called and not self.repeated))

    def _closure(self, names: set[str], *, upwards: bool) -> set[str]:
        """Add the functions that lead to the named ones (upwards), or to which they lead."""
        edges = [(name, user) if upwards else (user, name) for user, name, _ in self.mentions]
        size = -1
        while size != len(names):
            size = len(names)
            names = names | {to for start, to in edges if start in names}
        return names


def _has_connection(call: ast.Call) -> bool:
    """Whether the call configures migrations over a connection, and not their SQL as text."""
    return bool(call.args) or any(keyword.arg == "connection" for keyword in call.keywords)


def _table(call: ast.Call, tree: ast.Module) -> VersionTable:
    """Read the table a call names; both keywords have defaults."""
    values = {keyword.arg: keyword.value for keyword in call.keywords}
    name = _literal(values[_TABLE], tree) if _TABLE in values else VersionTable().name
    schema = _literal(values[_SCHEMA], tree) if _SCHEMA in values else None
    if not name or schema == "":
        raise _Uncertain
    return VersionTable(name, schema)


def _literal(node: ast.expr, tree: ast.Module) -> str | None:
    """Read a literal string or None, given here or by a constant that the module assigns once."""
    match node:
        case ast.Constant(value=str() | None as text):
            return text
        case ast.Name(id=name) if list(_bound(ast.walk(tree))).count(name) == 1:
            for statement in tree.body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant() as value) if (
                        target == name
                    ):
                        return _literal(value, tree)
                    case ast.AnnAssign(target=ast.Name(id=target), value=ast.Constant() as value) if (
                        target == name
                    ):
                        return _literal(value, tree)
    raise _Uncertain


def _count_table_keywords(tree: ast.AST) -> int:
    """How many keywords of calls in there name a version table."""
    return sum(isinstance(node, ast.keyword) and node.arg in {_TABLE, _SCHEMA} for node in ast.walk(tree))
