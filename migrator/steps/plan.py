"""Plan: what will be applied, and what an interrupted build left in its way."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace

from migrator.history.state import State
from migrator.postgres.catalog import InvalidIndex
from migrator.steps.leadership import Leadership
from migrator.telemetry.wording import counted


def plan(leadership: Leadership, state: State) -> Leadership:
    """Tell the plan. What an interrupted build left INVALID, and the plan builds again, counts as gone."""
    pending = state.pending
    listed = ", ".join(one.id for one in pending[:10]) + (" …" if len(pending) > 10 else "")  # noqa: PLR2004
    leadership.desk.events.record(
        "plan.made",
        f"{counted(len(pending), 'revision')} to apply: {listed}",
        revisions=[one.id for one in pending],
        targets=sorted(leadership.release.targets),
        direction="up",
    )
    rebuilt = _rebuilt(leadership, state)
    return replace(leadership, invalid=leadership.invalid - rebuilt)


def _rebuilt(leadership: Leadership, state: State) -> frozenset[InvalidIndex]:
    """INVALID indexes that the plan builds again: the worker drops each before its build."""
    if not leadership.invalid:
        return frozenset()
    found: set[InvalidIndex] = set()
    for revision in state.pending:
        if revision.path is None:
            continue
        source = revision.path.read_bytes()
        for index in sorted(leadership.invalid):
            if builds_index(source, index.name):
                found.add(index)
                leadership.desk.events.record(
                    "hazard.found",
                    f"index {index} is INVALID: a CONCURRENTLY build of revision {revision.id} may have been "
                    "interrupted; it is dropped before the revision builds it again",
                    level="warning",
                    revision=revision.id,
                    remedy=f"if the revision does not get there: {index.drop_statement}",
                )
    return frozenset(found)


def builds_index(source: bytes, name: str) -> bool:
    """Whether a revision seems to build this index CONCURRENTLY, and does not first remove or rebuild it.

    What `downgrade` would do, comments and docstrings do not count. Source that this Python cannot read, a
    newer one's, is taken by its words alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a revision must not reach our standard error
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        texts, drops = [source.decode(errors="replace")], []
    else:
        code = list(_code(tree))
        texts = [one.value for one in code if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        texts += [one.arg for one in code if isinstance(one, ast.keyword) and one.arg]
        drops = [one for one in code if isinstance(one, ast.Call) and _called(one) == "drop_index"]
    word = rf"(?<!\w){re.escape(name)}(?!\w)"
    in_sql = re.compile(rf"\b(?:drop|reindex)\b[^;]*{word}", re.IGNORECASE)
    return (
        any(re.search(word, text) for text in texts)
        and any("concurrently" in text.lower() for text in texts)
        and not any(in_sql.search(text) for text in texts)
        and not any(
            isinstance(one, ast.Constant) and one.value == name for drop in drops for one in ast.walk(drop)
        )
    )


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that an upgrade may run."""
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if is_docstring or (isinstance(child, ast.FunctionDef) and child.name.startswith("downgrade")):
            continue
        yield child
        yield from _code(child)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
