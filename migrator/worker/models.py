"""What `alembic check` would find: in what the database is not what the models of `env.py` say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.worker.reports import Reports

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

_MOST = 50
_OURS = "migrator"  # the ledger's schema, which no model knows


def tell_models(context: MigrationContext, report: Reports) -> None:
    """Report the differences as sentences, at most so many of them; None where env.py names no models."""
    metadata: Any = context.opts.get("target_metadata")
    if metadata is None:
        report("models", found=None, count=0)
        return
    from alembic.autogenerate import compare_metadata

    found: list[str] = []
    for one in compare_metadata(context, metadata):
        # The changes of one column come as a list.
        found += [
            _said(change) for change in (one if isinstance(one, list) else [one]) if not _is_ours(change)
        ]
    report("models", found=found[:_MOST], count=len(found))


def _said(change: Any) -> str:
    """Source: Alembic, `alembic.autogenerate.compare_metadata`: the kind, then what it is about."""
    kind = change[0].replace("_", " ")
    if change[0].startswith("modify_"):
        return f"{kind} of {_dotted(change[1], change[2], change[3])}"
    if change[0] in {"add_column", "remove_column"}:
        return f"{kind} {_dotted(change[1], change[2], change[3].name)}"
    about = change[1]
    table = getattr(about, "table", None)
    holder = () if table is None else (table.schema, table.name)
    schema = (getattr(about, "schema", None),) if table is None else ()
    return f"{kind} {_dotted(*schema, *holder, getattr(about, 'name', None))}"


def _dotted(*names: Any) -> str:
    return ".".join(str(one) for one in names if one) or "without a name"


def _is_ours(change: Any) -> bool:
    about = change[1] if not change[0].startswith("modify_") else None
    table = getattr(about, "table", about)
    return bool(getattr(table, "schema", change[1]) == _OURS)
