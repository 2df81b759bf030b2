"""`migrator rollback`: take revisions back with their own downgrades, leading, after a backup."""

from collections.abc import Collection, Sequence

from migrator.account import Account
from migrator.errors import MigratorError, RecoveryFailed, StateRefused, UsageError
from migrator.history.state import State, StateName
from migrator.history.way_back import WayBack, lacks_downgrade, way_back_by, way_back_to
from migrator.model import Outcome, RevisionId
from migrator.steps import back_up, book, take_back
from migrator.steps.desk import Desk
from migrator.steps.lead import lead_anyway, look_again, take_stock
from migrator.steps.leadership import Leadership
from migrator.steps.rehearse import rehearse
from migrator.steps.see import View, see
from migrator.telemetry.wording import counted

# From here a way back is known. Elsewhere the files that know it are another release's, or nobody knows.
_ROLLED_BACK_FROM = frozenset({StateName.CURRENT, StateName.PENDING})


def rollback(
    desk: Desk, account: Account, *, to: str | None, steps: int | None, accept_data_loss: Sequence[str]
) -> Outcome:
    """Go back to a revision, or by some steps; refuse what would lose rows nobody said may go."""
    try:
        if (to is None) == (steps is None):
            raise UsageError("rollback needs --to REV or --steps N: how far to go back")
        if steps is not None and steps < 1:
            raise UsageError("--steps must be 1 or more")
        view = see(desk, account)
        way = _way(view, _must_be_known(view.sight.state), to, steps)
        if way.revisions:
            _lead(view, account, way, frozenset(accept_data_loss))
    except MigratorError as error:
        return account.failed(error)
    heads = ", ".join(account.heads_after or ()) or "no revision"
    ids = [one.id for one in way.revisions]
    if not ids:
        return account.concluded(f"nothing to take back: the database is at {heads}", taken_back=[])
    return account.concluded(
        f"{counted(len(ids), 'revision')} taken back: {', '.join(ids)}; the database is at {heads}; "
        "deploy the release that belongs to it: a run of this one would migrate again",
        taken_back=ids,
    )


def _must_be_known(state: State | None) -> State:
    if state is not None and state.name in _ROLLED_BACK_FROM:
        return state
    is_ahead = state is not None and state.name in {StateName.AHEAD, StateName.AHEAD_UNPROVEN}
    raise RecoveryFailed(
        f"there is no way back from here: the database is {state.name if state else 'unknown'}"
        + (f", {state.reason}" if state else ""),
        remedy=_NEWER_IMAGE if is_ahead else _LOOK,
    )


_NEWER_IMAGE = (
    "run rollback with the newer release's image: only its files say how its revisions are taken back"
)
_LOOK = "`migrator status` tells what is there; `migrator restore` goes back to a backup"


def _way(view: View, state: State, to: str | None, steps: int | None) -> WayBack:
    graph = view.release.graph
    way = way_back_to(graph, state.heads, to) if to else way_back_by(graph, state.heads, steps or 0)
    lacking = [one.id for one in way.revisions if lacks_downgrade(one)]
    if lacking:
        raise RecoveryFailed(
            f"there is no way back through {', '.join(lacking)}: no downgrade",
            remedy="write the downgrade, or go back to a backup with `migrator restore`",
            without_downgrade=lacking,
        )
    return way


def _lead(view: View, account: Account, way: WayBack, accepted: Collection[str]) -> None:
    desk = view.desk
    with account.phase("lock"):
        lock = lead_anyway(desk, account)
    try:
        with account.phase("state"):
            leadership = take_stock(desk, account, lock, view.release)
            if leadership.sight.state is None:
                leadership = leadership.at(look_again(leadership, account, view.sight.tables))
        state = leadership.sight.state
        if state is None or state.heads != (view.sight.state.heads if view.sight.state else None):
            raise RecoveryFailed("another runner has changed the version meanwhile", remedy="look again")
        _tell(leadership, way)
        with account.phase("rehearse"):
            _refuse_losses(leadership, way, accepted)
        with account.phase("backup"):
            back_up.back_up_anyway(leadership, account, state)
        with book.booked(leadership, account, remembers=False) as entry:
            with account.phase("migrate"):
                take_back.take_back(leadership, account, way, entry.attempts)
            with account.phase("verify"):
                take_back.verify_taken_back(leadership, account, way)
    finally:
        lock.release()


def _tell(leadership: Leadership, way: WayBack) -> None:
    ids = [one.id for one in way.revisions]
    leadership.desk.events.record(
        "plan.made",
        f"{counted(len(ids), 'revision')} to take back, down to {way.target}: {', '.join(ids)}",
        revisions=ids,
        targets=[way.target],
        direction="down",
    )


def _refuse_losses(leadership: Leadership, way: WayBack, accepted: Collection[str]) -> None:
    """Say what would be lost; raise `RecoveryFailed` unless every revision that loses rows was accepted."""
    ids = [one.id for one in way.revisions]
    if unknown := sorted(set(accepted) - set(ids)):
        raise RecoveryFailed(
            f"--accept-data-loss {unknown[0]} is not among what is taken back: {', '.join(ids)}",
            remedy="name only revisions that are taken back, or go further",
        )
    try:
        losses = rehearse(leadership, way)
    except StateRefused as error:
        _refuse_unknown(leadership, ids, accepted, error)
        return
    for loss in losses:
        leadership.desk.events.record(
            "hazard.found",
            str(loss),
            level="warning",
            revision=loss.dropped.revision,
            table=loss.dropped.table,
            column=loss.dropped.column,
            rows=loss.rows,
        )
    left = [one for one in losses if one.dropped.revision not in accepted]
    if left:
        raise RecoveryFailed(
            f"data would be lost: {'; '.join(map(str, left))}; nothing was changed",
            remedy=f"if it may go: {_accepting(dict.fromkeys(one.dropped.revision for one in left))} "
            "(a backup is taken before)",
            losses=[str(one) for one in left],
        )


def _refuse_unknown(
    leadership: Leadership, ids: Sequence[RevisionId], accepted: Collection[str], error: StateRefused
) -> None:
    """Without a rehearsal nobody knows what would be lost: only who accepts it all may go on."""
    left = [one for one in ids if one not in accepted]
    if left:
        raise RecoveryFailed(
            f"what would be lost cannot be told: {error.message}; nothing was changed",
            remedy=f"{error.remedy}; or, if whatever these hold may go: {_accepting(left)}",
        ) from error
    leadership.desk.events.record(
        "hazard.found", f"what will be lost cannot be told: {error.message}", level="warning"
    )


def _accepting(ids: Collection[str]) -> str:
    return " ".join(f"--accept-data-loss {one}" for one in ids)
