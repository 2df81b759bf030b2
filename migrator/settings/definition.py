"""The one definition of every setting: its name, type, default, parser and meaning.

Reading (`reader`), the complete list of problems (`report`), the flags and the documentation are all made
from the fields below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from migrator.settings import values
from migrator.settings.dsn import Dsn
from migrator.settings.values import Secret


@dataclass(frozen=True, slots=True)
class Row:
    """How one setting is read and explained."""

    field: str
    names: tuple[str, ...]  # variables, the one that wins first
    parse: Callable[[str], Any]
    default: str  # as the documentation shows it
    meaning: str
    secret: bool
    words: tuple[str, ...] = ()  # all it may be, if they are few
    is_path: bool = False

    @property
    def flag(self) -> str:
        """The command line's spelling of the first name."""
        return "--" + self.names[0].removeprefix("MIGRATOR_").lower().replace("_", "-")


def _setting(  # noqa: PLR0913 - each is a column of the table
    parse: Callable[[str], Any],
    meaning: str,
    *,
    value: Any = None,
    default: str = "–",
    names: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    about = {"parse": parse, "meaning": meaning, "default": default, "names": names, "secret": secret}
    return field(default=value, metadata=about, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one run was told: every value is checked, durations are `timedelta`, secrets do not show."""

    database_url: Dsn | None = _setting(
        Dsn.parse,
        "the database to migrate, in any spelling people use: `postgres://`, `postgresql://`, "
        "`postgresql+DRIVER://`; else libpq's `PG*` variables",
        names=("MIGRATOR_DATABASE_URL", "DATABASE_URL"),
        secret=True,
    )
    direct_database_url: Dsn | None = _setting(
        Dsn.parse,
        "used by runner and worker in place of `DATABASE_URL` where that one goes through a pooler",
        secret=True,
    )
    role: str | None = _setting(
        values.text,
        "`SET ROLE` for worker, ledger and dump, so that objects belong to the owner and not to a rotating "
        "login",
    )
    alembic_config: Path | None = _setting(
        values.path,
        "where Alembic's configuration is",
        default="`alembic.ini`, else `pyproject.toml`",
    )
    alembic_section: str = _setting(
        values.text, "the section of it, as `alembic -n`", value="alembic", default="`alembic`"
    )
    script_location: str | None = _setting(
        values.text,
        "the folder of `env.py`, or `package:path`; works without any ini file",
        default="from the config",
    )
    alembic_x: tuple[tuple[str, str], ...] = _setting(
        values.pairs,
        "`key=value` arguments for `env.py`, comma-separated or a JSON list",
        value=(),
    )
    python: Path | None = _setting(
        values.path,
        "the interpreter of the worker (3.9 or newer): the project's own packages, apart from migrator's",
        default="the project's virtual environment if there is one, else ours",
    )
    upgrade_command: tuple[str, ...] = _setting(
        values.command,
        "the project's own upgrade command (JSON list), run as the worker where plain Alembic cannot load "
        "the project",
        value=(),
        default="`flask db upgrade` where `FLASK_APP` is set, else none",
    )
    target: str = _setting(
        values.text,
        "`head`, `heads`, a revision, `branch@head`; `head` with several heads is exit 11",
        value="head",
        default="`head`",
    )
    transaction: Literal["project", "revision"] = _setting(
        values.choice("project", "revision"),
        "`project`: as `env.py` says; `revision`: one transaction per revision",
        value="project",
        default="`project`",
    )
    version_table: str | None = _setting(
        values.text,
        "needed only where neither the ledger nor static reading is certain and user code may not run",
        default="ledger, else static reading",
    )
    version_table_schema: str | None = _setting(
        values.text, "the schema of `MIGRATOR_VERSION_TABLE`", default="ledger, else static reading"
    )
    wait_timeout: timedelta = _setting(
        values.duration, "patience for Postgres", value=timedelta(seconds=60), default="`60s`"
    )
    leader_timeout: timedelta = _setting(
        values.duration, "patience for another runner", value=timedelta(minutes=10), default="`10m`"
    )
    gate_timeout: timedelta | None = _setting(
        values.lasting,
        "patience of `gate` (in an init container giving up only adds back-off)",
        default="none",
    )
    deadline: timedelta | None = _setting(values.lasting, "for the whole run", default="none")
    lock_timeout: timedelta = _setting(
        values.duration,
        "the longest `lock_timeout` of migration sessions; `0` = wait for ever",
        value=timedelta(seconds=5),
        default="`5s`",
    )
    lock_patience: timedelta = _setting(
        values.duration,
        "how long to go on trying for table locks",
        value=timedelta(minutes=10),
        default="`10m`",
    )
    concurrently_lock_timeout: timedelta = _setting(
        values.duration,
        "`lock_timeout` of `… CONCURRENTLY` statements, which do not block the app",
        value=timedelta(minutes=10),
        default="`10m`",
    )
    statement_timeout: timedelta = _setting(
        values.duration,
        "`statement_timeout` of migration sessions (0 also overrides a role's own)",
        value=timedelta(0),
        default="`0`",
    )
    on_ahead: Literal["allow", "refuse", "allow-unproven"] = _setting(
        values.choice("allow", "refuse", "allow-unproven"),
        "database ahead by the ledger's proof: `allow` (0 with a warning) or `refuse`; `allow-unproven` also "
        "accepts revisions nobody recorded",
        value="allow",
        default="`allow`",
    )
    on_unversioned: Literal["prove", "refuse"] = _setting(
        values.choice("prove", "refuse"),
        "tables, but no version: `prove` (stamp only what replay proves) or `refuse`",
        value="prove",
        default="`prove`",
    )
    on_edited: Literal["warn", "refuse"] = _setting(
        values.choice("warn", "refuse"),
        "a revision changed since it was applied: `warn` or `refuse`",
        value="warn",
        default="`warn`",
    )
    on_pooler: Literal["refuse", "session"] = _setting(
        values.choice("refuse", "session"),
        "a pooler in between: `refuse`, or `session` when a session-mode pooler has been proven; `pg_dump` "
        "never goes through one",
        value="refuse",
        default="`refuse`",
    )
    backup: Literal["auto", "always", "off"] = _setting(
        values.choice("auto", "always", "off"),
        "`auto` (something is pending and the database is not empty), `always` (also with nothing to do), "
        "`off`",
        value="auto",
        default="`auto`",
    )
    backup_url: Secret | None = _setting(
        values.backup_url,
        "where backups go: `file:///backups` or `s3://bucket/prefix`; asked for at the start unless backups "
        "are off",
        secret=True,
    )
    backup_verify: Literal["archive", "restore"] = _setting(
        values.choice("archive", "restore"),
        "`archive` (read to its end, table of contents complete) or `restore` (restored into a scratch "
        "database and compared)",
        value="archive",
        default="`archive`",
    )
    backup_keep: int = _setting(
        values.at_least_one,
        "newest backups kept per database; never deletes what it did not write",
        value=10,
        default="`10`",
    )
    backup_exclude_data: tuple[str, ...] = _setting(
        values.patterns,
        "tables whose rows are left out (`schema.name`, with `*` and `?`), comma-separated or a JSON list; "
        "the backup is then called partial",
        value=(),
    )
    backup_reuse_within: timedelta = _setting(
        values.duration,
        "after a failed run of the same release, a proven backup that young is used again; `0` = never",
        value=timedelta(minutes=15),
        default="`15m`",
    )
    backup_command: tuple[str, ...] = _setting(
        values.command,
        "a program (JSON list) that takes the backup instead, e.g. a volume snapshot",
        value=(),
        default="none",
    )
    backup_command_timeout: timedelta = _setting(
        values.lasting,
        "how long `MIGRATOR_BACKUP_COMMAND` may take, tries again included",
        value=timedelta(hours=1),
        default="`1h`",
    )
    backup_max_size: int | None = _setting(
        values.size, "above this database size (`500GB`), exit 13 before dumping", default="none"
    )
    pg_bin: Path | None = _setting(
        values.path,
        "folder of `pg_dump` and `pg_restore`; otherwise the oldest found that is not older than the server",
        default="searched",
    )
    scratch_database_url: Dsn | None = _setting(
        Dsn.parse,
        "where scratch databases may be created, for replay; any database of a server like the target's",
        default="same server",
        secret=True,
    )
    remember_failure: timedelta = _setting(
        values.duration,
        "how long a permanent failure of this release against these version rows is remembered instead of "
        "tried again (`--retry` tries)",
        value=timedelta(minutes=10),
        default="`10m`",
    )
    ledger: bool = _setting(
        values.switch,
        "keep the ledger (schema `migrator` in the target database)",
        value=True,
        default="`on`",
    )
    pushgateway_url: Secret | None = _setting(
        values.http_url,
        "push metrics there at the end; a failed push is a warning",
        secret=True,
    )
    grouping: tuple[tuple[str, str], ...] = _setting(
        values.labels, "further `key=value` grouping labels of the metrics", value=()
    )
    app: str = _setting(
        values.text,
        "who this is, in ledger, metrics and `application_name`",
        value="app",
        default="`app`",
    )
    release: str = _setting(
        values.text,
        "which release this is, in ledger, metrics and `application_name`",
        value="unknown",
        default="from the platform's variables, else `unknown`",
        names=(
            "MIGRATOR_RELEASE",
            "RAILWAY_GIT_COMMIT_SHA",
            "RENDER_GIT_COMMIT",
            "HEROKU_SLUG_COMMIT",
            "SOURCE_COMMIT",
            "GIT_COMMIT",
        ),
    )
    log_format: Literal["auto", "json", "text"] = _setting(
        values.choice("auto", "json", "text"),
        "`json`, `text`, `auto` (text on a terminal)",
        value="auto",
        default="`auto`",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        values.choice("debug", "info", "warning", "error"),
        "`debug`, `info`, `warning`, `error`: events below it are left out, but never the last one",
        value="info",
        default="`info`",
    )
    termination_log: Path | None = _setting(
        values.path,
        "one line of JSON for `kubectl describe` (at most 4096 bytes)",
        default="`/dev/termination-log` if it exists",
    )

    @property
    def dsn(self) -> Dsn:
        """The address that runner and worker use."""
        found = self.direct_database_url or self.database_url
        if found is None:
            raise LookupError("a Settings without any database was asked for its address")
        return found


def _row(one: Any) -> Row:
    about = one.metadata
    names = about["names"] or (f"MIGRATOR_{one.name.upper()}",)
    return Row(
        one.name,
        names,
        about["parse"],
        about["default"],
        about["meaning"],
        about["secret"],
        words=("on", "off") if one.type is bool else get_args(one.type) if _is_literal(one.type) else (),
        is_path=about["parse"] is values.path,
    )


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


ROWS: tuple[Row, ...] = tuple(_row(one) for one in fields(Settings))
