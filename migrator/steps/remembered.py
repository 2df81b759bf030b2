"""Remembered: a platform restarts what failed for good; it fails again at once, without another dump."""

from datetime import timedelta

from migrator.errors import ExitCode, MigratorError
from migrator.history.circumstances import circumstances
from migrator.history.reader import source_digest
from migrator.history.state import State, StateName
from migrator.ledger import LastTry, read_last_try
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
    patience = desk.settings.remember_failure
    if not patience or state is None or state.name not in _COSTLY:
        return
    release = leadership.release
    key = circumstances(release, desk.settings, source_digest(release.graph.revisions))
    last = asked(desk, lambda session: read_last_try(session, key))
    if last is not None and _applies(last, state, patience):
        raise _again(last, patience)


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
