"""Which backups may go: a pure function of what the manifests and the ledger say."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

from migrator.backup.manifest import Manifest

# A schema that was left behind keeps a backup of its last data for so many changes of it.
_REVISIONS = 3
_OF_FAILED_RUNS = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept; `keep` is at least 1."""

    keep: int
    database_id: str
    failed_runs: Collection[str]  # runs that did not end in 0, as far as the ledger knows
    in_use: str = ""  # the file this run relies on: by another machine's clock it may be old


def superfluous(manifests: Iterable[Manifest], policy: Policy) -> tuple[Manifest, ...]:
    """The backups of this database that nobody needs any more, oldest first.

    Kept are the newest `keep`, the newest of each of the last revisions, the newest that is whole and the
    newest that was proven by restoring it, however old, and the one in use. Of the failed runs of one release
    only the first and the last count as backups to keep: a crash loop must not push out what was there before
    it. What is not surely of this database is not even considered.
    """
    ours = [one for one in _oldest_first(manifests) if one.database_id == policy.database_id != ""]
    repeated = _repeated(ours, policy.failed_runs)
    wanted = [one for one in ours if one.file not in repeated]
    kept = {
        *_files(wanted[-max(policy.keep, 1) :]),
        *_files(_newest_of_revisions(wanted)),
        *_files([one for one in ours if not one.is_partial][-1:]),
        *_files([one for one in ours if one.verified == "restore"][-1:]),
        *_files(ours[-1:]),
        policy.in_use,
    }
    return tuple(one for one in ours if one.file not in kept)


def _oldest_first(manifests: Iterable[Manifest]) -> list[Manifest]:
    return sorted(manifests, key=lambda one: (one.finished, one.file))


def _files(manifests: Iterable[Manifest]) -> set[str]:
    return {one.file for one in manifests}


def _repeated(ours: list[Manifest], failed_runs: Collection[str]) -> set[str]:
    """Of each release's failed runs, all but the first and the last."""
    failed = sorted((one for one in ours if one.run_id in failed_runs), key=lambda one: one.release)
    found: set[str] = set()
    for _, group in groupby(failed, key=lambda one: one.release):
        found |= _files(list(group)[1 : 1 - _OF_FAILED_RUNS])
    return found


def _newest_of_revisions(wanted: list[Manifest]) -> list[Manifest]:
    newest = {frozenset(one.heads): one for one in wanted}  # later ones take the place of earlier ones
    return _oldest_first(newest.values())[-_REVISIONS:]
