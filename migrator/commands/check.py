"""`migrator check`: try the release on a scratch database: up to the target, down again, up again."""

from dataclasses import dataclass, field

from migrator.account import Account
from migrator.errors import MigratorError, ProblemsFound, RevisionsInvalid, StateRefused
from migrator.history.failure import Failure
from migrator.history.release import Release
from migrator.history.replay import Built, Replayed, cannot_replay
from migrator.model import Outcome, RevisionId
from migrator.schema.difference import Difference
from migrator.schema.differences import differences
from migrator.schema.snapshot import Snapshot
from migrator.steps.begin import load, wait_for_postgres
from migrator.steps.desk import Desk
from migrator.steps.workshop import Bench, listed, model_of, workshop


def check(desk: Desk, account: Account) -> Outcome:
    """Build, take back, build again; the live database is only looked at, to make the scratch one like it."""
    try:
        with account.phase("load"):
            release = load(desk)
        with account.phase("wait"):
            session = wait_for_postgres(desk)
        account.reached(session.database)
        with session:
            desk, model = desk.at(session), model_of(session, release)
        with account.phase("replay"), workshop(desk, release, model) as bench:
            trial = _Trial(desk, release, bench)
            trial.run()
        if trial.problems:
            raise ProblemsFound(
                f"{len(trial.problems)} found: {listed(trial.problems)}",
                remedy="correct the revisions that are named; `downgrade` is what a rollback would run",
                problems=trial.problems,
            )
    except MigratorError as error:
        return account.failed(error)
    number = len(release.graph.ancestors(release.targets))
    message = f"{number} revisions go up, down again, and up again to the same schema"
    return account.concluded(message, revisions=number)


@dataclass
class _Trial:
    """One try, and what it found."""

    desk: Desk
    release: Release
    bench: Bench
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        wanted = self.release.graph.ancestors(self.release.targets)
        if not wanted:
            raise RevisionsInvalid(
                "this release has no revisions: there is nothing to try",
                remedy="see that MIGRATOR_SCRIPT_LOCATION leads to the release's revisions",
            )
        up = self.bench.replayer.build_watched(wanted)
        if up.failure is not None:
            self._refuse_other(up.failure)
            self._found(f"the upgrade fails on an empty database: {_said(up.failure)}", up.failure.revision)
            return
        first = self.bench.schema()
        self._take_back(up, wanted)
        again = self.bench.replayer.build_watched(wanted)
        if again.failure is not None:
            self._found(f"the second upgrade fails: {_said(again.failure)}", again.failure.revision)
            return
        tables = (*up.tables, *again.tables)
        for one in _restorable(first.without(tables), self.bench.schema().without(tables)):
            self._found(f"after down and up again, {one.sentence}", None)

    def _take_back(self, up: Replayed, wanted: frozenset[RevisionId]) -> None:
        """Down to the base, or as far as downgrades exist."""
        down = self.bench.replayer.take_back_watched("base", wanted)
        if down.failure is not None:
            self._refuse_other(down.failure)
            self._found(f"cannot be taken back: {_said(down.failure)}", down.failure.revision)
        self._compare(up, down, wanted)
        if down.failure is not None and down.done:  # one transaction undid what had been taken back
            self.bench.replayer.take_back_watched("base", frozenset(down.done))

    def _compare(self, up: Replayed, down: Replayed, wanted: frozenset[RevisionId]) -> None:
        """After each step down, the schema should be the one from before its upgrade."""
        before = {point.applied: point.schema.without(up.tables) for point in up.points}
        told: set[str] = set()
        for point in down.points:
            expected = before.get(wanted - point.applied)
            if expected is not None and point.revision is not None:
                self._compare_one(point, expected, up, told)

    def _compare_one(self, point: Built, expected: Snapshot, up: Replayed, told: set[str]) -> None:
        for one in _restorable(expected, point.schema.without(up.tables)):
            if one.sentence not in told:  # what was left behind once stays for the steps below
                told.add(one.sentence)
                does = {"extra": "leaves something behind", "missing": "takes away too much"}
                how = does.get(one.what, "does not restore what was there")
                self._found(f"its downgrade {how}: {one.sentence}", point.revision)

    def _found(self, problem: str, revision: str | None) -> None:
        sentence = f"revision {revision}: {problem}" if revision else problem
        self.problems.append(sentence)
        self.desk.events.record("difference.found", sentence, level="warning", revision=revision)

    def _refuse_other(self, failure: Failure) -> None:
        """Raise for a failure that is not the revision's own."""
        error = cannot_replay(failure)
        if failure.revision is None or not isinstance(error, StateRefused) or failure.refused:
            raise error


def _restorable(expected: Snapshot, actual: Snapshot) -> list[Difference]:
    """What differs, less the order of columns."""
    return [one for one in differences(expected, actual) if not one.is_order]


def _said(failure: Failure) -> str:
    if failure.type == "builtins.NotImplementedError":
        return f"it has no downgrade ({failure.message})"
    return failure.message + (f" ({failure.sqlstate})" if failure.sqlstate else "")
