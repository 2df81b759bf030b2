"""Edited: revisions that are applied should still say what was applied."""

from pathlib import Path

from migrator.errors import RevisionsInvalid
from migrator.history.digest import ALGORITHM, upgrade_digests
from migrator.history.state import State
from migrator.ledger import read_digests
from migrator.model import Revision
from migrator.steps.keep import asked
from migrator.steps.leadership import Leadership

_NAMED = 5


def look_for_edits(leadership: Leadership, state: State) -> None:
    """Tell which applied revisions were edited since, by the ledger.

    Only those whose file is here and whose digest both sides know. Raises `RevisionsInvalid` where the policy
    refuses them.
    """
    desk = leadership.desk
    recorded = asked(desk, lambda session: read_digests(session, ALGORITHM))
    if not recorded:
        return
    graph = leadership.release.graph
    there = graph.ancestors(state.heads) & recorded.keys()
    applied = [one for one in graph.revisions if one.id in there]
    now = upgrade_digests(applied)
    edited = [one for one in applied if one.id in now and now[one.id] != recorded[one.id]]
    if not edited:
        return
    message = f"edited after they were applied: {_named(edited, desk.cwd)}"
    remedy = (
        "put the change into a revision of its own, since databases that applied these never see it; "
        f"where it was on purpose: migrator ledger accept {edited[0].id}"
    )
    ids = [one.id for one in edited]
    if desk.settings.on_edited == "refuse":
        raise RevisionsInvalid(f"revisions were {message}", remedy=remedy, edited=ids)
    desk.events.record(
        "hazard.found", f"revisions were {message}", level="warning", remedy=remedy, revisions=ids
    )


def _named(edited: list[Revision], cwd: Path) -> str:
    named = [f"{_shown(one.path, cwd)} ({one.id})" for one in edited[:_NAMED] if one.path]
    more = len(edited) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _shown(path: Path, cwd: Path) -> str:
    """As a person in the project's folder would name it."""
    return str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
