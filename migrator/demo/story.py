"""`migrator demo`: four deploys of the bundled example on an embedded Postgres, told as a story."""

import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from migrator.clock import Stop
from migrator.demo.deploy import Deployed, deploy
from migrator.demo.narrator import Narrator
from migrator.demo.stage import MAJOR, Stage
from migrator.errors import ExitCode, MigratorError


@dataclass(frozen=True, slots=True)
class Chapter:
    """One deploy: which release, what there is to see, and how it must end."""

    release: str
    title: str
    promise: str
    expected: ExitCode = ExitCode.OK


CHAPTERS: Final = (
    Chapter(
        "1",
        "release 1",
        "The shop opens. Its database is empty: there is nothing to back up, and every revision is applied.",
    ),
    Chapter("1", "release 1 again", "Nothing is left to do, and to find that out takes a moment."),
    Chapter(
        "2",
        "release 2",
        "The shop grows. Now there is something to lose, so a backup is taken and proven to be readable "
        "before any change. The last revision is slow.",
    ),
    Chapter(
        "3",
        "release 3, broken",
        "The shop stumbles. A revision wants one account per email address; some customers have two.",
        ExitCode.MIGRATION_FAILED,
    ),
)


@dataclass(frozen=True, slots=True)
class Told:
    """A chapter as it went, with the revision of the database before and after."""

    chapter: Chapter
    deployed: Deployed
    before: str
    after: str

    @property
    def is_as_expected(self) -> bool:
        """Whether it ended as it must."""
        return self.deployed.status == self.chapter.expected


def tell() -> int:
    """Deploy four times and show it; 0 if every deploy ended as it must."""
    stop = Stop()
    stop.install()
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # libpq listens to them in this process too
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))  # the terminal was closed
    try:
        # Once it is over, or we are told to stop, nothing interrupts taking the stage down.
        with ExitStack() as stack, stop.interruptible():
            return _perform(stack, Narrator(sys.stdout))
    except MigratorError as error:
        print(f"migrator: {error.message}; {error.remedy}", file=sys.stderr)  # noqa: T201 - as the CLI does
        return int(error.exit_code)


def _perform(stack: ExitStack, narrator: Narrator) -> int:
    narrator.title("A bookshop is deployed four times")
    with narrator.busy(f"Starting PostgreSQL {MAJOR}"):
        stage = Stage.set_up(stack)
    _introduce(stage, narrator)
    told: list[Told] = []
    for chapter in CHAPTERS:
        told.append(_play(stage, narrator, chapter, len(told) + 1))
        if not told[-1].is_as_expected:
            break
    narrator.title("What happened")
    narrator.table(("deploy", "exit code", "seconds", "database"), *map(_row, told))
    narrator.gap()
    if not told[-1].is_as_expected:
        narrator.conclude(_complaint(told[-1]), is_good=False)
        return int(ExitCode.INTERNAL_ERROR)
    _look_back(stage, narrator)
    return int(ExitCode.OK)


def _introduce(stage: Stage, narrator: Narrator) -> None:
    narrator.say(
        f"A PostgreSQL {MAJOR} of our own runs on {stage.cluster.host}:{stage.cluster.port} until the end. "
        "An ordinary role owns the database. Every deploy is a process in the folder of the example,"
    )
    narrator.show(f"cd {stage.shop.folder}")
    narrator.say("which knows nothing of migrator, with these variables:")
    narrator.show(*(f"{name}={value}" for name, value in stage.shown_settings.items()))


def _play(stage: Stage, narrator: Narrator, chapter: Chapter, number: int) -> Told:
    stage.shop.ship(chapter.release)
    narrator.title(f"{number} of {len(CHAPTERS)}: {chapter.title}")
    narrator.say(chapter.promise)
    narrator.gap()
    narrator.show(f"$ MIGRATOR_RELEASE={chapter.release} migrator run")
    before = stage.head()
    deployed = deploy(stage.shop.folder, {**stage.settings, "MIGRATOR_RELEASE": chapter.release})
    told = Told(chapter, deployed, before, stage.head())
    narrator.conclude(_verdict(told), is_good=deployed.status == ExitCode.OK)
    return told


def _verdict(told: Told) -> str:
    """What a platform, and a person, make of the exit code."""
    status = told.deployed.status
    code = next((one for one in ExitCode if one == status), None)
    if code is None:
        return f"exit {status}: not one of migrator's exit codes"
    if code is ExitCode.OK:
        return "exit 0: the gate opens, the application may start"
    where = f"the database is {'still ' if told.before == told.after else ''}at {told.after or 'no revision'}"
    what = code.meaning.partition(";")[0]
    return f"exit {status} ({code.kind}): {what}. The gate stays shut, and {where}"


def _row(told: Told) -> tuple[str, ...]:
    status = told.deployed.status
    name = next((one.name for one in ExitCode if one == status), "?")
    moved = f"{told.before or 'empty'} → {told.after}" if told.before != told.after else "unchanged"
    return told.chapter.title, f"{status:>2} {name}", f"{told.deployed.seconds:7.2f}", moved


def _complaint(told: Told) -> str:
    expected = told.chapter.expected
    return (
        f"the demonstration went wrong: {told.chapter.title} ended with exit {told.deployed.status}, "
        f"where {int(expected)} {expected.name} was expected"
    )


def _look_back(stage: Stage, narrator: Narrator) -> None:
    folder = next(stage.backups.iterdir())
    narrator.say(f"The backups lay in {folder}, each with a manifest; they go now, with the server:")
    for dump in sorted(folder.glob("*.dump")):
        narrator.show(f"{dump.name}  {dump.stat().st_size / 1_000_000:.1f} MB")
    narrator.gap()
    narrator.say("Next, in the folder of your own alembic.ini (README.md tells more):")
    narrator.show(
        "export DATABASE_URL=…  MIGRATOR_BACKUP_URL=file:///…  and: migrator run",
        "migrator settings      what can be set, and the defaults",
        "migrator exit-codes    what each exit tells your platform, and what to do",
    )
