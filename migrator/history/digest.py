"""The digest by which an applied revision is known again: what `upgrade()` says, however it is laid out.

A sha256 over its tokens: the same under every Python, which a syntax tree is not, and the same after a
formatter went over the file. Comments, layout, the docstring, the way a string is quoted and a comma that
changes nothing do not count; helpers elsewhere in the file do not count either.
"""

import ast
import io
import keyword
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from functools import cache

from migrator.model import Revision, RevisionId

# Digests of another number are not compared. Change it whenever the same source would get another digest.
ALGORITHM = 1

_IGNORED = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER})
# A formatter may indent by other characters and end lines otherwise: only that it does so counts.
_LAYOUT = {tokenize.NEWLINE: "newline", tokenize.INDENT: "indent", tokenize.DEDENT: "dedent"}
# From Python 3.12 on (3.14 for template strings) these come in parts.
_PARTED = ("FSTRING", "TSTRING")
_OPENERS, _CLOSERS = frozenset("([{"), frozenset(")]}")

Token = tuple[str, str]


def upgrade_digests(revisions: Iterable[Revision]) -> dict[RevisionId, str]:
    """The digests of those whose file is there and whose `upgrade` can be told without running it."""
    found: dict[RevisionId, str] = {}
    for revision in revisions:
        try:
            digest = upgrade_digest(revision.path.read_bytes()) if revision.path else None
        except OSError:
            continue
        if digest is not None:
            found[revision.id] = digest
    return found


@cache
def upgrade_digest(source: bytes) -> str | None:
    """The sha256 in hex of `upgrade()`; None where it is not one plain function of the file.

    Kept: a run computes them while its worker works, and records them at its end.
    """
    import hashlib  # noqa: PLC0415 - only needed when something is pending

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a revision must not reach our standard error
            tokens = _tokens(source)
    except (SyntaxError, tokenize.TokenError, ValueError, LookupError, RecursionError, MemoryError):
        return None
    if tokens is None:
        return None
    text = "".join(f"{kind}\0{len(said)}\0{said}" for kind, said in tokens)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _tokens(source: bytes) -> list[Token] | None:
    text = _decoded(source)
    function = _upgrade(ast.parse(text))
    if function is None:
        return None
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    lines = text.split("\n")[first - 1 : function.end_lineno]
    tokens = list(_significant(lines))
    if ast.get_docstring(function, clean=False) is not None:
        tokens = _without_docstring(tokens)
    return _without_idle_commas(tokens)


def _decoded(source: bytes) -> str:
    """The text as Python itself would read it: by its cookie, with one kind of line end."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return source.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def _upgrade(tree: ast.Module) -> ast.FunctionDef | None:
    """The function `upgrade`, if nothing else in the file could be it."""
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "upgrade"]
    if len(found) != 1 or sum(map(_binds_upgrade, ast.walk(tree))) != 1:
        return None
    return found[0]


def _binds_upgrade(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name == "upgrade"
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return name == "upgrade"
        case ast.alias(name=name, asname=asname):
            return (asname or name) in {"upgrade", "*"}
        case ast.Global(names=names):
            return "upgrade" in names
        case _:
            return False


def _significant(lines: list[str]) -> Iterator[Token]:
    """The tokens that count, strings by what they mean, those with expressions inside as they are written."""
    begun: list[tuple[int, int]] = []
    for one in tokenize.generate_tokens(io.StringIO("\n".join([*lines, ""])).readline):
        name = tokenize.tok_name[one.type]
        if name.startswith(_PARTED):
            if name.endswith("_START"):
                begun.append(one.start)
            elif name.endswith("_END"):
                start = begun.pop()
                if not begun:
                    yield "string", _between(lines, start, one.end)
        elif begun or one.type in _IGNORED:
            continue
        elif one.type in _LAYOUT:
            yield "layout", _LAYOUT[one.type]
        elif one.type == tokenize.STRING:
            yield _string(one.string)
        else:
            yield "token", one.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    first, last = lines[start[0] - 1][start[1] :], lines[end[0] - 1][: end[1]]
    return "\n".join([first, *lines[start[0] : end[0] - 1], last])


def _string(written: str) -> Token:
    try:
        value = ast.literal_eval(written)
    except (SyntaxError, ValueError):  # it has expressions inside
        return "string", written
    return ("text", value) if isinstance(value, str) else ("bytes", value.hex())


def _without_docstring(tokens: list[Token]) -> list[Token]:
    """Take away the strings that open the body, and the end of their line."""
    start = _body(tokens)
    end = start
    while tokens[end][0] == "text":
        end += 1
    if end > start and tokens[end] in {("layout", "newline"), ("token", ";")}:
        end += 1
    return tokens[:start] + tokens[end:]


def _body(tokens: list[Token]) -> int:
    """Where the body begins: behind the first colon outside of brackets."""
    depth = 0
    for number, (kind, said) in enumerate(tokens):
        if kind == "token":
            depth += (said in _OPENERS) - (said in _CLOSERS)
            if said == ":" and depth == 0:
                return next(at for at in range(number + 1, len(tokens)) if tokens[at][0] != "layout")
    raise ValueError("a function without a body")


def _without_idle_commas(tokens: list[Token]) -> list[Token]:
    """Take away each comma before a closing bracket, unless it is what makes a tuple."""
    kept: list[Token] = []
    open_brackets: list[tuple[bool, int]] = []  # whether one comma alone is idle, and how many there were
    for token in tokens:
        kind, said = token
        if kind == "token" and said in _OPENERS:
            open_brackets.append((_is_idle_alone(said, kept[-1] if kept else None), 0))
        elif kind == "token" and said == "," and open_brackets:
            idle, commas = open_brackets[-1]
            open_brackets[-1] = (idle, commas + 1)
        elif kind == "token" and said in _CLOSERS:
            idle, commas = open_brackets.pop()
            if kept[-1] == ("token", ",") and (idle or commas > 1):
                kept.pop()
        kept.append(token)
    return kept


def _is_idle_alone(opener: str, before: Token | None) -> bool:
    """Whether `(a,)` means `(a)` here: in a call and in a list, not in a tuple or an index."""
    kind, said = before or ("", "")
    follows_value = kind in {"text", "bytes", "string"} or (
        kind == "token" and (said in _CLOSERS or (said.isidentifier() and said not in keyword.kwlist))
    )
    return opener == "{" or follows_value == (opener == "(")
