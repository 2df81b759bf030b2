"""Edited: revisions that are applied should still say what was applied."""

from collections.abc import Collection, Mapping
from pathlib import Path

from migrator.errors import RevisionsInvalid
from migrator.history.digest import ALGORITHM, upgrade_digests
from migrator.history.graph import Graph
from migrator.history.state import State
from migrator.ledger import read_digests
from migrator.model import Revision, RevisionId
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
    edited = edited_since(recorded, leadership.release.graph, state.heads)
    if not edited:
        return
    message = f"edited after they were applied: {named_files(edited, desk.cwd)}"
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


def edited_since(
    recorded: Mapping[RevisionId, str], graph: Graph, heads: Collection[RevisionId]
) -> list[Revision]:
    """Of what these heads imply, the revisions that are not what was recorded."""
    there = graph.ancestors(heads) & recorded.keys()
    applied = [one for one in graph.revisions if one.id in there]
    now = upgrade_digests(applied)
    return [one for one in applied if one.id in now and now[one.id] != recorded[one.id]]


def named_files(edited: list[Revision], cwd: Path) -> str:
    """Their files and ids, the first of them."""
    named = [f"{shown_file(one.path, cwd)} ({one.id})" for one in edited[:_NAMED] if one.path]
    more = len(edited) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def shown_file(path: Path, cwd: Path) -> str:
    """As a person in the project's folder would name it."""
    return str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
