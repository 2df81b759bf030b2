"""The environment: which variables are there, what they contradict, and where they lead."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.errors import SettingsInvalid
from migrator.settings import Dsn
from migrator.settings.definition import ROWS
from migrator.settings.reader import Need, is_near, read_settings
from migrator.telemetry.wording import counted

# The one that wins first.
_ADDRESSES = ("MIGRATOR_DIRECT_DATABASE_URL", "MIGRATOR_DATABASE_URL", "DATABASE_URL")
_LIBPQ = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER")
_TYPO = re.compile(r"(?P<wrong>\w+) is not a setting: was (?P<meant>\w+) meant\?")
# Where other programs and platforms keep what we look for in DATABASE_URL.
_ELSEWHERE = (
    "POSTGRES_URL",
    "POSTGRESQL_URL",
    "DATABASE_URI",
    "DATABASE_PRIVATE_URL",
    "SQLALCHEMY_DATABASE_URI",
    "SQLALCHEMY_DATABASE_URL",
    "DB_URL",
)
# `${{Postgres.DATABASE_URL}}` and `$(VAR)` are what platforms leave of a reference to nothing.
_UNFILLED = re.compile(r"\$\{\{.*?\}\}|\$\{\w+\}|^\$\(\w+\)$")


def _settings(patient: Patient) -> Iterator[Finding]:
    """All problems `run` would refuse to start with, but for files, which are a check of their own."""
    try:
        read_settings(patient.environ, patient.flags, need=Need.POLICY)
    except SettingsInvalid as error:
        problems = [one for one in error.problems if not _is_of_a_file(one)]
        for problem in problems:
            yield failed(
                problem, why="`run` does not start with it: exit 10", remedy=_settings_remedy(problem)
            )
        if problems:
            return
    given = [row.names[0] for row in ROWS if any(patient.environ.get(name) for name in _spellings(row.names))]
    yield passed(f"{counted(len(given), 'setting')} given: {', '.join(given) or 'none'}", settings=given)


def _spellings(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield from (name, f"{name}_FILE")


def _settings_remedy(problem: str) -> str:
    if typo := _TYPO.search(problem):
        return f'export {typo["meant"]}="${typo["wrong"]}"; unset {typo["wrong"]}'
    if both := re.match(r"(\w+) and \w+_FILE are both set", problem):
        return f"unset {both[1]}"
    return "correct it; `migrator settings` tells what each may be"


def _spelling(patient: Patient) -> Iterator[Finding]:
    """Misspelt names of variables that are not ours, and ours that this release does not know."""
    known = {*_spellings(_ADDRESSES), *_LIBPQ}
    found = False
    for name, value in sorted(patient.environ.items()):
        if name in known or not value or name.startswith("MIGRATOR_"):
            continue
        if is_near(name, "DATABASE_URL"):
            found = True
            yield warned(
                f"{name} is set, which nothing reads",
                why="it is nearly DATABASE_URL, where the database is looked for",
                remedy=f'export DATABASE_URL="${name}"; unset {name}',
                variable=name,
            )
    if not any(patient.environ.get(name) for name in known):
        for name in _ELSEWHERE:
            if patient.environ.get(name):
                found = True
                yield warned(
                    f"{name} is set, and DATABASE_URL is not",
                    why="migrator does not read it, since nobody knows whose database it is",
                    remedy=f'export DATABASE_URL="${name}"',
                    variable=name,
                )
    if not found:
        yield passed("no variable seems misspelt")


def _empty(patient: Patient) -> Iterator[Finding]:
    ours = [name for row in ROWS for name in _spellings(row.names) if not name.startswith("GIT_")]
    names = [name for name in (*ours, *_LIBPQ, "PGPASSWORD") if patient.environ.get(name) == ""]
    if not names:
        yield passed("no variable is set to nothing")
        return
    yield warned(
        f"{', '.join(names)}: set to nothing",
        why="an empty variable counts as absent: a reference in the platform may lead nowhere",
        remedy=f"unset {' '.join(names)}",
        variables=names,
    )


def _references(patient: Patient) -> Iterator[Finding]:
    ours = {name for row in ROWS for name in _spellings(row.names)} | {*_LIBPQ, "PGPASSWORD"}
    names = [one for one in sorted(ours) if _UNFILLED.search(patient.environ.get(one, ""))]
    if not names:
        yield passed("no reference to another variable was left as it is")
        return
    yield failed(
        f"{', '.join(names)}: a reference that nobody filled in",
        why="the platform hands on the text itself where the variable or service it names is not there",
        remedy="correct the name of the service or variable in it, or set the value itself",
        variables=names,
    )


def _files(patient: Patient) -> Iterator[Finding]:
    """Files that `…_FILE` variables name."""
    try:
        read_settings(patient.environ, patient.flags)
    except SettingsInvalid as error:
        found = [one for one in error.problems if _is_of_a_file(one)]
    else:
        found = []
    for problem in found:
        path = shlex.quote(re.sub(r".* names (.*), which .*", r"\1", problem))
        yield failed(
            problem,
            why="the secret it holds is missing: a volume or secret may not be mounted",
            remedy=f"ls -la {path} $(dirname {path})",
        )
    if found:
        return
    secrets = [name for row in ROWS if row.secret for name in _spellings(row.names)]
    used = [one for one in secrets if one.endswith("_FILE") and patient.environ.get(one)]
    yield passed(f"{counted(len(used), 'secret')} read from files", variables=used)


def _is_of_a_file(problem: str) -> bool:
    return "_FILE names " in problem


def _address(patient: Patient) -> Iterator[Finding]:
    """Which value wins, and what is in it, without its password."""
    if not patient.has_address:
        yield impossible(
            "no address of a database can be read",
            why="there is nothing to connect to: see environment.settings",
            remedy="export DATABASE_URL=postgresql://USER:***@HOST:5432/DATABASE",
        )
        return
    source, reason = _source(patient)
    dsn = patient.desk.dsn
    yield passed(
        f"{shown(dsn)}, by {source}{reason}",
        source=source,
        user=dsn.user,
        hosts=[f"{host}:{port or 5432}" for host, port in dsn.hosts],
        database=dsn.database,
        driver=dsn.driver,
        parameters=[name for name, _ in dsn.parameters],
    )


def shown(dsn: Dsn) -> str:
    """The address as a URL without what is secret."""
    hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port or 5432}" for host, port in dsn.hosts)
    password = ":***" if dsn.password else ""
    account = f"{dsn.user or ''}{password}@" if dsn.user or password else ""
    mode = dict(dsn.parameters).get("sslmode")
    return f"postgresql://{account}{hosts}/{dsn.database or ''}{f'?sslmode={mode}' if mode else ''}"


def _source(patient: Patient) -> tuple[str, str]:
    """The name under which the address was found, and why it wins over others."""
    flags = {"direct_database_url": "--direct-database-url", "database_url": "--database-url"}
    given = [flag for field, flag in flags.items() if field in patient.flags]
    given += [name for name in _spellings(_ADDRESSES) if patient.environ.get(name)]
    libpq = [name for name in _LIBPQ if patient.environ.get(name)]
    if not given:
        return ", ".join(libpq), " (there is no DATABASE_URL)"
    others = [*given[1:], *libpq]
    return given[0], f" (it wins over {', '.join(others)})" if others else ""


def _contradictions(patient: Patient) -> Iterator[Finding]:
    """Other variables that lead elsewhere: to them the app, psql and pg_dump may listen."""
    ours = patient.desk.dsn
    if not (ours.hosts or ours.database):
        yield impossible("there is no address to compare with")
        return
    source, _ = _source(patient)
    found = False
    for name, other in _others(patient.environ, source):
        around = "DIRECT" in source
        pairs = _compared(ours, other, is_way_around=around)
        differing = [word for word, one, two in pairs if one and two and one != two]
        if differing:
            found = True
            yield warned(
                f"{source} and {name} name another {', another '.join(differing)}",
                why=f"migrator goes by {source}; what else runs here may go by the other one",
                remedy=f"unset {name}",
                variables=[*source.split(", "), *name.split(" ")],
            )
    if not found:
        yield passed("all variables that name a database agree")


def _others(environ: Mapping[str, str], source: str) -> Iterator[tuple[str, Dsn]]:
    for name in _ADDRESSES:
        if name not in source.split(", ") and environ.get(name):
            try:
                yield name, Dsn.parse(environ[name])
            except ValueError:  # environment.settings tells it, where it matters
                continue
    libpq = [name for name in _LIBPQ if environ.get(name)]
    if libpq and source != ", ".join(libpq):
        try:
            found = Dsn.from_variables({"PGDATABASE": "", **{name: environ[name] for name in libpq}})
        except ValueError:
            return
        if found is not None:
            yield " ".join(libpq), found


def _compared(ours: Dsn, other: Dsn, *, is_way_around: bool) -> Iterator[tuple[str, object, object]]:
    """Word and both values; the way around a pooler is another host, but to the same database."""
    if not is_way_around:
        yield "host", sorted(host for host, _ in ours.hosts), sorted(host for host, _ in other.hosts)
        yield "role", ours.user, other.user
    yield "database", ours.database, other.database


def _platform(patient: Patient) -> Iterator[Finding]:
    environ = patient.environ
    if environ.get("RAILWAY_PROJECT_ID") or environ.get("RAILWAY_ENVIRONMENT"):
        name = "Railway"
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        name = "Kubernetes"
    elif Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        name = "a container (compose or docker run)"
    else:
        name = "none that is known: a machine or another kind of container"
    release = patient.desk.settings.release
    yield passed(f"{name}; release {release}", platform=name, release=release)


CHECKS = (
    Check("environment.settings", _settings),
    Check("environment.spelling", _spelling),
    Check("environment.empty", _empty),
    Check("environment.references", _references),
    Check("environment.files", _files),
    Check("environment.address", _address),
    Check("environment.contradictions", _contradictions),
    Check("environment.platform", _platform),
)
