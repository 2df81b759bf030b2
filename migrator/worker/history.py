"""The history: every revision the scripts define."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.worker.reports import Reports

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


def tell_history(script: ScriptDirectory, report: Reports) -> None:
    """Report them all, whether applied or not."""
    revisions = [
        {
            "id": one.revision,
            "down": _listed(one.down_revision),
            "depends_on": _listed(one.dependencies),
            # Alembic adds inherited labels to the other attribute.
            "labels": sorted(getattr(one, "_orig_branch_labels", one.branch_labels)),
            "doc": one.doc or "",
            "path": one.path,
        }
        for one in script.walk_revisions()
    ]
    report("history", revisions=revisions)


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
