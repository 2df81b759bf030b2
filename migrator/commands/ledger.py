"""`migrator ledger`: correct what is recorded in the database."""

from migrator.account import Account
from migrator.errors import MigratorError, UsageError
from migrator.history.digest import ALGORITHM, upgrade_digests
from migrator.history.graph import Graph
from migrator.ledger import Ledger, exists
from migrator.model import Outcome, Revision
from migrator.steps.begin import load, wait_for_postgres
from migrator.steps.desk import Desk


def ledger(desk: Desk, account: Account, *, action: str, revision: str) -> Outcome:
    """Accept a revision as its file says it now."""
    assert action == "accept"  # noqa: S101 - there is no other
    try:
        said = _accept(desk, account, revision)
    except MigratorError as error:
        return account.failed(error)
    return account.concluded(said)


def _accept(desk: Desk, account: Account, name: str) -> str:
    """Record the digest of its file.

    Not as the leader: one value of one row changes, which a leader reads before its backup, and never
    overwrites but by applying the revision itself.
    """
    with account.phase("load"):
        revision = _found(load(desk).graph, name)
    with account.phase("wait"):
        session = wait_for_postgres(desk)
    account.reached(session.database)
    with account.phase("ledger"), session:
        if not exists(session):
            raise UsageError("there is no ledger in this database", remedy="the first `run` makes one")
        digest = upgrade_digests([revision]).get(revision.id)
        if not Ledger.open(session).accept_digest(revision.id, digest, ALGORITHM):
            raise UsageError(
                f"revision {revision.id} is not in the ledger: it was never applied",
                remedy="nothing is needed: its digest is recorded when it is applied",
            )
    return f"revision {revision.id} is accepted as its file says it now"


def _found(graph: Graph, name: str) -> Revision:
    """The revision of that id, or the only one beginning so."""
    matches = [one for one in graph.revisions if one.id.startswith(name)]
    exact = [one for one in matches if one.id == name]
    found = exact or matches
    if not name or len(found) != 1:
        named = ", ".join(one.id for one in found[:5])
        what = "the beginning of several revisions" if found else "no revision of this release"
        raise UsageError(
            f"{name!r} is {what}{': ' + named if found else ''}", remedy="name one revision by its id"
        )
    return found[0]
