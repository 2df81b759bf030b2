"""Remembered: a platform restarts what failed for good; it fails again at once, without another dump."""

from datetime import timedelta

from migrator.errors import ExitCode, MigratorError
from migrator.history.circumstances import circumstances
from migrator.history.reader import source_digest
from migrator.history.release import Release
from migrator.history.state import State, StateName
from migrator.ledger import LastTry, read_last_try
from migrator.postgres.session import Session
from migrator.settings import Settings
from migrator.steps.keep import asked
from migrator.steps.leadership import Leadership

# What may be booked for good; other codes pass by themselves, or cost nothing to find out again.
_LASTING = frozenset(
    {
        ExitCode.REVISIONS_INVALID,
        ExitCode.STATE_REFUSED,
        ExitCode.POLICY_REFUSED,
        ExitCode.MIGRATION_FAILED,
        ExitCode.VERIFICATION_FAILED,
        ExitCode.ACCESS_DENIED,
    }
)
# Nothing is dumped in the others. A proof that failed is not remembered: the database is not written before
# one stands.
_COSTLY = frozenset({StateName.PENDING, StateName.FRESH})


def refuse_remembered(leadership: Leadership) -> None:
    """Raise the failure of the last run under the same circumstances, if it left these very version rows.

    For a while only: a person may have repaired the data. The time is the database's, whatever a pod's clock
    says.
    """
    desk, state = leadership.desk, leadership.sight.state
    if state is None or not _is_remembered(desk.settings, state):
        return
    failure = asked(desk, lambda session: remembered(session, leadership.release, desk.settings, state))
    if failure is not None:
        raise failure


def remembered(session: Session, release: Release, settings: Settings, state: State) -> MigratorError | None:
    """The failure that a run would end with at once, if there is one. Raises `AccessDenied`."""
    if not _is_remembered(settings, state):
        return None
    key = circumstances(release, settings, source_digest(release.graph.revisions))
    last = read_last_try(session, key)
    if last is None or not _applies(last, state, settings.remember_failure):
        return None
    return _again(last, settings.remember_failure)


def _is_remembered(settings: Settings, state: State) -> bool:
    return bool(settings.remember_failure) and state.name in _COSTLY


def _applies(last: LastTry, state: State, patience: timedelta) -> bool:
    return (
        last.exit_code in _LASTING
        and last.age < patience
        and last.finished is not None
        and last.heads_after == frozenset(state.heads)
    )


def _again(last: LastTry, patience: timedelta) -> MigratorError:
    """The same error, as far as it was recorded."""
    assert last.finished is not None  # noqa: S101 - or it would not apply
    kind = next(one for one in MigratorError.__subclasses__() if one.exit_code == last.exit_code)
    failed, over = (f"{one:%H:%M:%SZ}" for one in (last.finished, last.finished + patience))
    return kind(
        f"{last.error}; remembered from {failed} (run {last.run_id}), not tried again",
        remedy=f"{last.remedy or kind.exit_code.remedy}; `--retry` tries again at once, any run after {over}",
        remembered_run=last.run_id,
        remembered_at=f"{last.finished:%Y-%m-%dT%H:%M:%SZ}",
        retried_from=f"{last.finished + patience:%Y-%m-%dT%H:%M:%SZ}",
    )
