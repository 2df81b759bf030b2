"""What the platform is told: one exit code per thing an operator would do differently."""

from enum import IntEnum
from typing import Any, ClassVar, Self

_RETRYABLE = range(30, 50)
_FIRST_SIGNAL = 128


class ExitCode(IntEnum):
    """The exit status of every command, with its meaning and what an operator does about it.

    1 to 29 are permanent: the same image against the same database fails again. 30 to 49 are retryable:
    time alone may cure them. 128+n is a signal. A code never changes its meaning and is never used again.
    """

    meaning: str
    remedy: str

    def __new__(cls, code: int, meaning: str, remedy: str) -> Self:
        """Make a member that is its number and carries its texts."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.remedy = remedy
        return member

    OK = (
        0,
        "the version rows fit this release, seen on a fresh connection: migrated now, nothing to do, "
        "or ahead and allowed",
        "nothing to do: the application may start",
    )
    INTERNAL_ERROR = (
        1,
        "a bug in migrator (traceback in the events)",
        "report it with the events of the run",
    )
    USAGE = (2, "wrong command line", "see `migrator --help`")
    SETTINGS_INVALID = (
        10,
        "settings are missing or nonsense; all problems are listed at once",
        "correct the settings that are named",
    )
    REVISIONS_INVALID = (
        11,
        "the release's migrations cannot be trusted: do not load, several heads, missing parent, "
        "duplicate id, cycle, edited after applied (when refused)",
        "correct the revision files and build a new release",
    )
    STATE_REFUSED = (
        12,
        "the database must not be migrated blindly: unversioned and unproven, diverged, ahead without proof "
        "(or refused), corrupt version table",
        "find out what state the database is in before anything touches it",
    )
    POLICY_REFUSED = (
        13,
        "a preflight forbids going on: no usable backup destination, client older than server, unreadable "
        "tables, pooled connection, a worker that cannot be watched",
        "change what the message names, or the setting that asks for it",
    )
    MIGRATION_FAILED = (
        14,
        "a revision raised, or an earlier run left it half applied; says which, what is committed, what was "
        "rolled back",
        "correct the revision or the data it met, then deploy again",
    )
    VERIFICATION_FAILED = (
        15,
        "everything ran, yet a fresh connection does not see what should be there",
        "do not start the application; compare the version table with what the events say was applied",
    )
    ACCESS_DENIED = (
        16,
        "Postgres refused the role, password, database or privilege",
        "correct the URL, create the role or the database, or grant the privilege",
    )
    RECOVERY_FAILED = (
        17,
        "`restore`, `rollback` or `adopt` could not do what was asked; nothing was swapped or stamped",
        "read the message: the database is as it was",
    )
    PROBLEMS_FOUND = (
        18,
        "`diagnose`, `check` or `verify` found at least one failure",
        "follow the remedy of each failed check",
    )
    DATABASE_UNAVAILABLE = (
        30,
        "not ready within `WAIT_TIMEOUT`",
        "see why Postgres is not up, or raise MIGRATOR_WAIT_TIMEOUT",
    )
    LEADER_BUSY = (
        31,
        "another runner led for longer than `LEADER_TIMEOUT`; says who and since when",
        "look at the run that leads, or raise MIGRATOR_LEADER_TIMEOUT",
    )
    BLOCKED = (
        32,
        "table locks could not be had within `LOCK_PATIENCE`; says which sessions blocked",
        "end the sessions that block, or deploy when they are done",
    )
    BACKUP_FAILED = (
        33,
        "the backup broke on I/O, disk, network or a stall; the schema was not touched",
        "make room or mend the destination of the backups, then run again",
    )
    INTERRUPTED_MIDWAY = (
        34,
        "a session or the worker was lost (08*, 57P01–57P03, 53*, 58*, 40001, killed), or the server became "
        "read-only (25006); says which revisions are committed",
        "run again: it goes on from what is committed",
    )
    NOT_YET = (
        35,
        "`gate`: still behind when `GATE_TIMEOUT` ended",
        "look at the run that should migrate; the gate may simply be asked again",
    )
    DEADLINE = (
        36,
        "`DEADLINE` for the whole run passed; rolled back, lock released",
        "run again, with a longer MIGRATOR_DEADLINE if the work needs it",
    )
    INTERRUPTED = (
        130,
        "SIGINT: the statement in progress was cancelled and its transaction rolled back (what had been "
        "committed is listed), lock released, last event written",
        "run again when wanted",
    )
    TERMINATED = (
        143,
        "SIGTERM: the statement in progress was cancelled and its transaction rolled back (what had been "
        "committed is listed), lock released, last event written",
        "run again when wanted",
    )

    @property
    def is_retryable(self) -> bool:
        """Whether time alone may cure it (30 to 49)."""
        return self in _RETRYABLE

    @property
    def kind(self) -> str:
        """The class an operator sees: ok, permanent, retryable or signal."""
        if self == ExitCode.OK:
            return "ok"
        if self >= _FIRST_SIGNAL:
            return "signal"
        return "retryable" if self.is_retryable else "permanent"


class MigratorError(Exception):
    """A foreseen failure. Its class states what the platform is told; the message ends with the remedy."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL_ERROR

    def __init_subclass__(cls, *, exit_code: ExitCode) -> None:
        """Bind the class to its exit code, so that no subclass can forget it."""
        super().__init_subclass__()
        cls.exit_code = exit_code

    def __init__(self, message: str, *, remedy: str | None = None, **facts: Any) -> None:
        """Keep the sentence, what to do about it, and the facts the last event carries."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.exit_code.remedy
        self.facts = facts


class UsageError(MigratorError, exit_code=ExitCode.USAGE):
    """The command line does not make sense."""


class SettingsInvalid(MigratorError, exit_code=ExitCode.SETTINGS_INVALID):
    """Settings are missing or nonsense; carries every problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Join the problems into one message and keep them apart for the event."""
        super().__init__("; ".join(problems), problems=list(problems))
        self.problems = problems


class RevisionsInvalid(MigratorError, exit_code=ExitCode.REVISIONS_INVALID):
    """The release's own migrations cannot be trusted."""


class StateRefused(MigratorError, exit_code=ExitCode.STATE_REFUSED):
    """The database is in a state that must not be migrated blindly."""


class PolicyRefused(MigratorError, exit_code=ExitCode.POLICY_REFUSED):
    """A preflight forbids going on; nothing was touched."""


class MigrationFailed(MigratorError, exit_code=ExitCode.MIGRATION_FAILED):
    """A revision raised."""


class VerificationFailed(MigratorError, exit_code=ExitCode.VERIFICATION_FAILED):
    """Everything ran, yet a fresh connection does not see what should be there."""


class AccessDenied(MigratorError, exit_code=ExitCode.ACCESS_DENIED):
    """Postgres refused the role, password, database or privilege."""


class RecoveryFailed(MigratorError, exit_code=ExitCode.RECOVERY_FAILED):
    """What was asked could not be done; nothing was swapped or stamped."""


class ProblemsFound(MigratorError, exit_code=ExitCode.PROBLEMS_FOUND):
    """What was looked at is not as it should be; carries every problem."""


class DatabaseUnavailable(MigratorError, exit_code=ExitCode.DATABASE_UNAVAILABLE):
    """Postgres did not become ready in time."""


class LeaderBusy(MigratorError, exit_code=ExitCode.LEADER_BUSY):
    """Another runner led for longer than our patience."""


class Blocked(MigratorError, exit_code=ExitCode.BLOCKED):
    """Table locks could not be had within our patience."""


class BackupFailed(MigratorError, exit_code=ExitCode.BACKUP_FAILED):
    """No usable backup exists; the database has not been touched."""


class InterruptedMidway(MigratorError, exit_code=ExitCode.INTERRUPTED_MIDWAY):
    """A session or the worker was lost while it migrated."""


class NotYet(MigratorError, exit_code=ExitCode.NOT_YET):
    """The gate's patience ended while the database was still behind."""


class DeadlinePassed(MigratorError, exit_code=ExitCode.DEADLINE):
    """The deadline for the whole run passed."""


class Interrupted(MigratorError, exit_code=ExitCode.INTERRUPTED):
    """SIGINT arrived."""


class Terminated(MigratorError, exit_code=ExitCode.TERMINATED):
    """SIGTERM arrived."""
