"""`migrator adopt`: find by replay which revision an unversioned database is at, and record it."""

from migrator.account import Account
from migrator.errors import MigratorError, RecoveryFailed, RevisionsInvalid, UsageError
from migrator.history.state import StateName
from migrator.history.target import resolve_target
from migrator.model import Outcome, RevisionId
from migrator.steps.desk import Desk
from migrator.steps.found import adopted
from migrator.steps.identify import examine, identify, others_of
from migrator.steps.lead import lead, look_again, take_stock
from migrator.steps.prove import Candidate
from migrator.steps.see import View, see
from migrator.steps.stamp import stamp as write_stamp
from migrator.telemetry.wording import counted


def adopt(desk: Desk, account: Account, *, stamp: bool, at: str | None, accept_differences: bool) -> Outcome:
    """Prove a revision; with `stamp` or `at`, record it in the version table, under the leader lock."""
    try:
        if accept_differences and at is None:
            raise UsageError("--accept-differences needs --at REV: which revision to stamp nevertheless")
        view = see(desk, account)
        _must_be_unversioned(view)
        chosen = _resolved(view, at) if at else None
        if not stamp and chosen is None:
            found, proof = identify(view.desk, account, view.release)
            candidate = _something(found)
            return account.concluded(
                f"the schema is exactly what revision {candidate} builds; "
                f"`migrator adopt --stamp` records it{others_of(candidate, proof)}",
                revision=str(candidate),
                matches=[str(one) for one in proof.matches],
            )
        candidate = _stamped(view, account, chosen, accepts=accept_differences)
    except MigratorError as error:
        return account.failed(error)
    number = len(candidate.differences)
    differing = f", with {counted(number, 'difference')} accepted" if number else ""
    differing = ", on your word alone: nothing could be compared" if candidate.uncompared else differing
    return account.concluded(
        f"the database is stamped {candidate}{differing}",
        revision=str(candidate),
        accepted=candidate.accepted,
    )


def _must_be_unversioned(view: View) -> None:
    state = view.sight.state
    if state is not None and state.name is StateName.UNVERSIONED:
        return
    if state is not None and state.name is StateName.FRESH:
        raise RecoveryFailed(
            "there is nothing to adopt: nothing of this history is in the database", remedy="migrator run"
        )
    raise RecoveryFailed(
        f"the database has a version already: it is {state.name if state else 'unknown'}, "
        f"{state.reason if state else ''}",
        remedy="`migrator verify` compares it with what the revisions build",
    )


def _resolved(view: View, at: str) -> tuple[RevisionId, ...]:
    """What was named: usually one revision; with several heads one of each branch, with commas between."""
    graph = view.release.graph
    try:
        found = {revision for name in at.split(",") for revision in resolve_target(graph, name.strip())}
    except RevisionsInvalid as error:
        raise RecoveryFailed(
            f"--at {at} does not name a revision: {error.message}",
            remedy="give the id of a revision of this release",
        ) from error
    if "head" in at or len(found) != at.count(",") + 1 or graph.redundant(found):
        raise RecoveryFailed(f"--at {at} does not name revisions of their own", remedy="give their ids")
    return tuple(sorted(found))


def _stamped(
    view: View, account: Account, chosen: tuple[RevisionId, ...] | None, *, accepts: bool
) -> Candidate:
    desk = view.desk
    with account.phase("lock"):
        lock = lead(desk, account, view.release, view.sight)
    if lock is None:
        raise RecoveryFailed(
            "another runner has migrated the database meanwhile",
            remedy="`migrator status` shows where it is now",
        )
    try:
        with account.phase("state"):
            leadership = take_stock(desk, account, lock, view.release)
            if leadership.sight.state is None:
                look_again(leadership, account, view.sight.tables)
        if account.state is None or account.state.name is not StateName.UNVERSIONED:
            raise RecoveryFailed(
                "another runner has given the database a version meanwhile",
                remedy="`migrator status` shows where it is now",
            )
        if chosen is None:
            found, _ = identify(leadership.desk, account, view.release)
            candidate = _something(found)
        else:
            candidate = examine(leadership.desk, account, view.release, chosen, accepts=accepts)
        tables = write_stamp(leadership, account, candidate)
        sight = look_again(leadership, account, tables)
        adopted(desk, view.release, sight, differences=candidate.accepted)
    finally:
        lock.release()
    return candidate


def _something(found: Candidate | None) -> Candidate:
    if found is None:
        raise RecoveryFailed(
            "there is nothing to adopt: no revision has been applied, env.py itself makes what is there",
            remedy="migrator run",
        )
    return found
