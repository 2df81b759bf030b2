"""Reads revision files as Alembic would load them, without running them.

They are Python, but nearly always assign four literals at the top. What is not certain is not guessed: one
file that might declare something else makes the whole answer None, and a worker asks Alembic itself.
"""

import ast
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrator.errors import RevisionsInvalid
from migrator.history.project import Project
from migrator.model import Revision, RevisionId

_DECLARED = frozenset({"revision", "down_revision", "branch_labels", "depends_on"})

# Below the first function, text without these cannot change what the header declared ("revision" is also part
# of "down_revision"). Finding one only means that the whole file is parsed.
_LATER_CHANGES = (b"revision", b"branch_labels", b"depends_on")
_REACHES_NAMESPACE = (b"globals", b"locals(", b"vars(", b"exec(", b"modules", b"__getattr__")
_STAR_IMPORT = re.compile(rb"import[\s\\]*\*")
_ENDS_HEADER = (b"\ndef ", b"\nasync def ", b"\nclass ", b"\n@")


class _Uncertain(Exception):
    """The file may declare something other than what can be read."""


def read_revisions(project: Project) -> tuple[Revision, ...] | None:
    """Read all revisions in the order Alembic loads them, or None when that is not certain."""
    if project.sourceless or not project.version_folders:
        return None
    try:
        with warnings.catch_warnings():
            # "\d" in someone's revision must not reach our standard error
            warnings.simplefilter("ignore")
            return tuple(_read(path) for path in _paths(project))
    except (_Uncertain, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True, slots=True)
class File:
    """One file that Alembic takes for a revision, and what it declares.

    Without a revision `why` says what is wrong with it; empty, where only running it would tell.
    """

    path: Path
    revision: Revision | None = None
    why: str = ""


def read_each(project: Project) -> tuple[File, ...]:
    """Read the files one by one, whatever is wrong with others. Raises `RevisionsInvalid` for a folder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            return tuple(_read_one(Path(path)) for path in _paths(project))
    except _Uncertain:
        return ()
    except OSError as error:
        raise RevisionsInvalid(
            f"the folder {error.filename} cannot be listed: {error.strerror}",
            remedy="ship the folder with the image, or correct script_location or version_locations",
        ) from error


def syntax_error(path: Path) -> str | None:
    """Where this Python cannot read a file, its last line included; None if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            _parsed(path.read_bytes())
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return str(error)
    return None


def _read_one(path: Path) -> File:
    try:
        return File(path, _read(str(path)))
    except SyntaxError:
        return File(path)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return File(path, why=f"it cannot be read: {error}")
    except _Uncertain:
        text = path.read_bytes()
        declares = any(word in text for word in (*_LATER_CHANGES, *_REACHES_NAMESPACE))
        return File(path, why="" if declares or _STAR_IMPORT.search(text) else "it declares no revision")


def revision_digest(revision: Revision) -> str:
    """Hash a revision's id, parents and file to a sha256 in hex; where the file lies does not matter.

    Raises:
        RevisionsInvalid: the file cannot be read any more.
    """
    import hashlib  # noqa: PLC0415 - only needed when something is pending

    digest = hashlib.sha256()
    for part in (revision.id, *sorted(revision.down), "", *sorted(revision.depends_on), ""):
        digest.update(f"{part}\0".encode())
    try:
        digest.update(revision.path.read_bytes() if revision.path else b"")
    except OSError as error:
        message = f"revision file {revision.path} cannot be read: {error.strerror}; make it readable"
        raise RevisionsInvalid(message) from error
    return digest.hexdigest()


def source_digest(revisions: Iterable[Revision]) -> str:
    """Hash a release's revisions, in whatever order they come, to the sha256 in hex that identifies it.

    Raises:
        RevisionsInvalid: a file cannot be read any more.
    """
    import hashlib  # noqa: PLC0415 - as above

    return hashlib.sha256("".join(sorted(map(revision_digest, revisions))).encode()).hexdigest()


def _paths(project: Project) -> Iterator[str]:
    """List the files Alembic takes for revisions, once each, in its order.

    Source: `ScriptDirectory._load_revisions` and `Script._list_py_dir`. Versions differ on a missing folder.
    """
    seen = set()
    for folder in project.version_folders:
        for root, folders, names in os.walk(os.path.realpath(folder), onerror=_stop):
            folders.sort()
            for name in sorted(names) if not root.endswith("__pycache__") else ():
                path = f"{root}/{name}"
                if os.path.islink(path):  # noqa: PTH114 - a thousand files: a `Path` is slow
                    path = _followed(path)
                if _is_revision(path) and path not in seen:
                    seen.add(path)
                    yield path
            if not project.recursive:
                break


def _stop(error: OSError) -> None:
    """Refuse a folder that cannot be listed, which `os.walk` would take for an empty one."""
    raise error


def _followed(link: str) -> str:
    """Follow a link; Alembic's versions differ on whose name counts, so both must say the same."""
    path = os.path.realpath(link)
    if _is_revision(path) != _is_revision(link):
        raise _Uncertain
    return path


def _is_revision(path: str) -> bool:
    """Whether Alembic takes the file for a revision; `.#x.py` is an editor's lock."""
    return path.endswith(".py") and not path.rpartition("/")[2].startswith((".#", "__init__"))


def _read(path: str) -> Revision:
    """Read one file; only its header is parsed where the rest cannot matter."""
    file = Path(path)
    source = file.read_bytes()
    tree = _header(source) or _parsed(source)
    declared: dict[str, tuple[str, ...]] = {}
    for statement in tree.body:
        _note(statement, declared)
    if len(declared.get("revision", ())) != 1 or "down_revision" not in declared:
        raise _Uncertain
    return Revision(
        id=RevisionId(declared["revision"][0]),
        down=tuple(map(RevisionId, declared["down_revision"])),
        depends_on=declared.get("depends_on", ()),
        labels=frozenset(declared.get("branch_labels", ())),
        doc=(ast.get_docstring(tree, clean=False) or "").strip().partition("\n\n")[0],
        path=file,
    )


def _header(source: bytes) -> ast.Module | None:
    """Parse what precedes the first function, or None when that might not be all that counts.

    A cut inside a string or bracket leaves it unterminated, so what parses is what stands at the top level.
    """
    ends = [end for end in map(source.find, _ENDS_HEADER) if end >= 0]
    end = min(ends, default=-1)
    if end < 0 or any(word in source for word in _REACHES_NAMESPACE) or _STAR_IMPORT.search(source):
        return None
    if any(source.find(word, end) >= 0 for word in _LATER_CHANGES):
        return None
    try:
        return _parsed(source[: end + 1])
    except SyntaxError:
        return None


def _parsed(source: bytes) -> ast.Module:
    """Parse bytes, so that Python itself honours a coding cookie; never runs anything."""
    tree = compile(source, "<revision>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    if not isinstance(tree, ast.Module):
        raise _Uncertain
    return tree


def _note(statement: ast.stmt, declared: dict[str, tuple[str, ...]]) -> None:
    """Note what a top-level statement declares; one that might declare something else is uncertain."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _DECLARED:
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in _DECLARED:
            pass
        case ast.Expr(value=ast.Constant()):
            return
        case _:
            if _may_declare(statement):
                raise _Uncertain
            return
    if name in declared:
        raise _Uncertain
    declared[name] = _literal(value, scalar=name == "revision")


def _literal(value: ast.expr, *, scalar: bool) -> tuple[str, ...]:
    """Read None, a string or a collection of strings; `revision` may only be a string."""
    match value:
        case ast.Constant(value=str(text)) if text:
            return (text,)
        case ast.Constant(value=None) if not scalar:
            return ()
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items) if not scalar:
            return tuple(text for item in items for text in _literal(item, scalar=True))
    raise _Uncertain


def _may_declare(statement: ast.stmt) -> bool:
    """Whether a statement could bind one of the four names in the module, by whatever means."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return any(_binds(alias) for alias in statement.names)
    nodes = list(ast.walk(statement))
    if _reaches_module(nodes):
        return True
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        # the names inside are its own, but its defaults and decorators are the module's
        outside = (statement.args, *statement.decorator_list)
        return _binds(statement) or any(_binds(node) for part in outside for node in ast.walk(part))
    return any(map(_binds, nodes))


def _binds(node: ast.AST) -> bool:
    """Whether a node binds one of the names where it stands, or could bind any name there."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return name in {"locals", "vars", "exec"}
        case (
            ast.Name(id=name)
            | ast.MatchAs(name=name)
            | ast.MatchStar(name=name)
            | ast.MatchMapping(rest=name)
        ):
            return name in _DECLARED
        case ast.alias(name=name, asname=asname):
            hides = name in {"*", "modules"} or (name == "sys" and asname is not None)
            return hides or (asname or name.partition(".")[0]) in _DECLARED
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name in _DECLARED or name == "__getattr__"
        case ast.ExceptHandler(name=name):
            return name in _DECLARED
        case _:
            return False


def _reaches_module(nodes: Iterable[ast.AST]) -> bool:
    """Whether code, also inside a function, could bind a name of the module.

    `globals()["upgrade_" + name]()`, which Alembic's template for several databases writes, only reads.
    """
    balance = 0
    for node in nodes:
        match node:
            case ast.Global(names=names) if not _DECLARED.isdisjoint(names):
                return True
            case ast.Attribute(value=ast.Name(id="sys"), attr="modules") | ast.ImportFrom(module="sys"):
                return True
            case ast.Name(id="globals"):
                balance += 1
            case ast.Call(func=ast.Subscript(value=ast.Call(func=ast.Name(id="globals")))):
                balance -= 1
            case _:
                pass
    return balance > 0
