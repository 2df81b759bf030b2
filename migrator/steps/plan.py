"""Plan: what will be applied, and whether something left behind stands in its way."""

import re

from migrator.errors import MigrationFailed
from migrator.history.state import State
from migrator.steps.leadership import Leadership


def plan(leadership: Leadership, state: State) -> None:
    """Tell the plan. Raises `MigrationFailed` when an earlier run died in a build that the plan repeats."""
    _refuse_leftovers(leadership, state)
    pending = state.pending
    listed = ", ".join(one.id for one in pending[:10]) + (" …" if len(pending) > 10 else "")  # noqa: PLR2004
    noun = "revision" if len(pending) == 1 else "revisions"
    leadership.desk.events.record(
        "plan.made",
        f"{len(pending)} {noun} to apply: {listed}",
        revisions=[one.id for one in pending],
        targets=sorted(leadership.release.targets),
    )


def _refuse_leftovers(leadership: Leadership, state: State) -> None:
    """`IF NOT EXISTS` would take an INVALID index for a finished one and report success."""
    for revision in state.pending:
        if revision.path is None or not leadership.invalid:
            continue
        words = set(re.findall(r"\w+", revision.path.read_text(encoding="utf-8", errors="replace")))
        for index in sorted(leadership.invalid):
            if index.name in words:
                raise MigrationFailed(
                    f"index {index} is INVALID: a CONCURRENTLY build of revision {revision.id} was "
                    "interrupted",
                    remedy=f"{index.drop_statement}; then run again",
                    revision=revision.id,
                    invalid_index=str(index),
                )
