"""From environment and flags to `Settings`, without pydantic while there is nothing to complain about."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from migrator.errors import SettingsInvalid
from migrator.settings.access import Access
from migrator.settings.definition import ROWS, Row, Settings
from migrator.settings.destination import Bucket, parse_destination
from migrator.settings.dsn import Dsn
from migrator.settings.values import Secret
from migrator.settings.variables import text_of

# Kubernetes writes these into every pod for each Service whose name begins with "migrator".
_INJECTED = re.compile(
    r"MIGRATOR(_.+)?_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_TYPO_DISTANCE = 2


class Need(Enum):
    """What a command needs of the settings of backups."""

    NOTHING = "nothing"
    POLICY = "a way to take one, unless MIGRATOR_BACKUP is off"
    BACKUP = "a way to take one"
    STORE = "where backups are kept"


@dataclass(frozen=True, slots=True)
class Given:
    """The raw texts that were found, by field, each with the name it was found under."""

    texts: Mapping[str, tuple[str, str]]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read_settings(
    environ: Mapping[str, str], flags: Mapping[str, str] | None = None, *, need: Need = Need.NOTHING
) -> tuple[Settings, tuple[str, ...]]:
    """Read everything; return the settings and the warnings.

    `flags` are by field name and win. Raises `SettingsInvalid` with every problem there is.
    """
    given = collect(environ, flags or {})
    values, is_wrong = _parsed(given)
    problems = list(given.problems)
    if is_wrong:
        problems += _value_problems(given)
    problems += _missing(values, given, environ)
    problems += _missing_backup(values, given, environ, need)
    if problems:
        raise SettingsInvalid(tuple(problems))
    return Settings(**values), given.warnings


def readable_settings(environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """What can be read of settings that are not all valid: for a diagnosis, which tells the rest.

    It may lack a database.
    """
    given = collect(environ, flags)
    values, _ = _parsed(given)
    tuple(_missing(values, given, environ))
    return Settings(**values)


def _parsed(given: Given) -> tuple[dict[str, Any], bool]:
    """The values by field, and whether there is a wrong one."""
    values: dict[str, Any] = {}
    for row in ROWS:
        if row.field in given.texts:
            with suppress(ValueError):
                values[row.field] = row.parse(given.texts[row.field][1])
    return values, len(values) < len(given.texts)


def collect(environ: Mapping[str, str], flags: Mapping[str, str]) -> Given:
    """Find each setting's text: flag, then variable, then the file a `…_FILE` variable names."""
    texts: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for row in ROWS:
        try:
            if found := _from_flag(row, flags) or text_of(row.names, environ, may_be_file=row.secret):
                texts[row.field] = _utf8(*found)
        except ValueError as error:
            problems.append(str(error))
    typos, warnings = _unknown(environ)
    return Given(texts, (*problems, *typos), warnings)


def _utf8(name: str, raw: str) -> tuple[str, str]:
    """Bytes that are not UTF-8 reach Python as half characters, which nothing can be sent on with."""
    if any("\ud800" <= one <= "\udfff" for one in raw):
        raise ValueError(f"{name} is not UTF-8 text")
    return name, raw


def _from_flag(row: Row, flags: Mapping[str, str]) -> tuple[str, str] | None:
    raw = flags.get(row.field)
    if raw is None:
        return None
    if row.secret and re.search(r"://[^/@]*:.*@|password=", raw, re.DOTALL):
        raise ValueError(
            f"{row.flag} carries a password, which every user of the machine could read in the process "
            f"list: use {row.names[0]} or {row.names[0]}_FILE"
        )
    return row.flag, raw


def _unknown(environ: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that are nearly a setting's are typos; others may be another release's."""
    known = {name for row in ROWS for name in _spellings(row)}
    typos: list[str] = []
    warnings: list[str] = []
    for name in sorted(environ):
        if not name.startswith("MIGRATOR_") or name in known or _INJECTED.fullmatch(name):
            continue
        if near := next((one for one in sorted(known) if is_near(name, one)), None):
            typos.append(f"{name} is not a setting: was {near} meant?")
        else:
            warnings.append(f"{name} is not a setting of this release of migrator and has no effect")
    return tuple(typos), tuple(warnings)


def _spellings(row: Row) -> Iterator[str]:
    for name in row.names:
        yield name
        if row.secret:
            yield f"{name}_FILE"


def is_near(one: str, other: str) -> bool:
    """Whether two insertions, deletions or replacements turn one into the other."""
    if abs(len(one) - len(other)) > _TYPO_DISTANCE:
        return False
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        above, row = row, [i]
        for j, right in enumerate(other, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right)))
    return row[-1] <= _TYPO_DISTANCE


def _missing(values: dict[str, Any], given: Given, environ: Mapping[str, str]) -> Iterator[str]:
    """What only shows when settings are seen together; fills in the address from libpq's variables."""
    if not any(name in given.texts for name in ("database_url", "direct_database_url")):
        try:
            values["database_url"] = Dsn.from_variables(environ)
        except ValueError as error:
            yield f"PGHOST/PGPORT: {error}"
        else:
            if values["database_url"] is None and not any("DATABASE_URL" in text for text in given.problems):
                yield "DATABASE_URL is missing: set it, or libpq's PGHOST and PGDATABASE"
    if values.get("version_table_schema") and not values.get("version_table"):
        yield "MIGRATOR_VERSION_TABLE_SCHEMA is set without MIGRATOR_VERSION_TABLE"


def _missing_backup(
    values: dict[str, Any], given: Given, environ: Mapping[str, str], need: Need
) -> Iterator[str]:
    has_command = "backup_command" in given.texts and need is not Need.STORE
    is_off = need is Need.POLICY and values.get("backup", "auto") == "off"
    if need is Need.NOTHING or is_off or has_command:
        return
    if "backup_url" in given.texts:
        yield from _access_problems(values["backup_url"], environ) if "backup_url" in values else ()
        return
    otherwise = ", or set MIGRATOR_BACKUP=off to migrate without one" if need is Need.POLICY else ""
    yield (
        f"MIGRATOR_BACKUP_URL is missing: say where backups go (file:///backups, s3://bucket/prefix){otherwise}"
    )


def _access_problems(url: Secret, environ: Mapping[str, str]) -> Iterator[str]:
    destination = parse_destination(url.reveal())
    if isinstance(destination, Bucket):
        try:
            Access.from_variables(environ, destination)
        except ValueError as error:
            yield str(error)


def _value_problems(given: Given) -> tuple[str, ...]:
    from migrator.settings.report import problems_of  # noqa: PLC0415 - costs as much as the rest of a run

    return problems_of(given.texts)
