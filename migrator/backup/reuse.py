"""Whether a backup of a failed run still serves: a crash loop must not fill a bucket."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migrator.backup.manifest import Manifest
from migrator.ledger.runs import RecordedRun
from migrator.model import RevisionId

_LEVELS = ("archive", "restore")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a backup must be to take the place of a new one. `now` is by the clock that dates manifests."""

    database_id: str
    release: str
    version_rows: Mapping[str, tuple[RevisionId, ...]]
    within: timedelta
    verified: str
    missing: frozenset[str]  # tables whose rows would be left out now
    now: datetime


def reusable(manifests: Iterable[Manifest], runs: Sequence[RecordedRun], wanted: Wanted) -> Manifest | None:
    """The newest backup that a failed run of this release took of these version rows, if it is young enough.

    `runs` are the last runs that led, newest first; whoever asks leads now, so one without an end has died.
    Only those since the last success count: after it the app may have written for long.
    """
    failed = _failed_in_a_row(runs, wanted.release)
    fitting = [one for one in manifests if one.run_id in failed and _fits(one, wanted)]
    return max(fitting, key=lambda one: one.finished, default=None)


def _failed_in_a_row(runs: Sequence[RecordedRun], release: str) -> set[str]:
    found: set[str] = set()
    for run in runs:
        if run.release != release or run.exit_code == 0:
            break
        found.add(run.id)
    return found


def _fits(one: Manifest, wanted: Wanted) -> bool:
    return (
        one.database_id == wanted.database_id != ""
        and timedelta(0) <= wanted.now - one.finished <= wanted.within
        and dict(one.version_rows) == dict(wanted.version_rows)
        and _LEVELS.index(one.verified) >= _LEVELS.index(wanted.verified)
        and set(one.missing) <= wanted.missing
    )
