"""Backup: whether one could be taken now, and how good the last one is."""

from collections.abc import Iterator
from datetime import datetime

from migrator.backup.client import find_client, installed_clients
from migrator.backup.manifest import Manifest
from migrator.backup.moment import take_snapshot
from migrator.backup.preflight import expected_size
from migrator.backup.scope import Scope
from migrator.backup.shelf import take_stock_of
from migrator.backup.stores import Store
from migrator.clock import utc_now
from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.errors import BackupFailed, MigratorError, PolicyRefused
from migrator.ledger.runs import RecordedRun, last_runs
from migrator.postgres.pooler import is_pooled
from migrator.steps.shelving import store_of

_RUNS = 20


def _client(patient: Patient) -> Iterator[Finding]:
    if told := _needless(patient):
        yield told
        return
    folder, version = patient.desk.settings.pg_bin, patient.session().server_version
    try:
        client = find_client(folder, version)
    except PolicyRefused as error:
        # Another folder than the one that was set may hold what is needed.
        others = [one for one in installed_clients(None) if one.major >= version // 10000]
        yield failed(
            error.message,
            why="an older pg_dump refuses the server: a run that has something to back up ends with 13",
            remedy=f"export MIGRATOR_PG_BIN={others[0].folder}" if others else error.remedy,
        )
        return
    yield passed(
        f"pg_dump {client.version} in {client.folder}, for PostgreSQL {version // 10000}",
        version=client.version,
        folder=str(client.folder),
    )


def _destination(patient: Patient) -> Iterator[Finding]:
    if told := _needless(patient):
        yield told
        return
    if patient.desk.settings.backup_url is None:
        yield _nowhere()
        return
    store = _store(patient)
    try:
        store.refuse_unusable(0)
    except (PolicyRefused, BackupFailed) as error:
        yield failed(
            error.message,
            why="a run that has something to back up ends before it changes anything",
            remedy=error.remedy,
        )
        return
    yield passed(f"{store.location('')} can be written")


def _nowhere() -> Finding:
    return failed(
        "MIGRATOR_BACKUP_URL is not set",
        why="`run` and `backup` ask for it at the start, and end with 10",
        remedy="export MIGRATOR_BACKUP_URL=file:///backups, s3://bucket/prefix, or MIGRATOR_BACKUP=off",
    )


def _space(patient: Patient) -> Iterator[Finding]:
    told = _needless(patient)
    if told or patient.desk.settings.backup_url is None:
        yield told or _nowhere()
        return
    yield _room(patient, _store(patient))


def _room(patient: Patient, store: Store) -> Finding:
    """Measured as a run does, in a snapshot."""
    session, settings = patient.session(), patient.desk.settings
    if is_pooled(session):
        return impossible(
            "only a pooler leads to the database, and nothing is dumped through one",
            why="a run that has something to back up ends with 13",
            remedy="export MIGRATOR_DIRECT_DATABASE_URL=… to Postgres itself",
        )
    tables = patient.sight().tables
    try:
        scope = Scope.of(take_snapshot(session, tables), settings.backup_exclude_data)
        expected = expected_size(session, scope, store)
    finally:
        session.rows("ROLLBACK")
    facts = {"least_bytes": expected.least_bytes, "most_bytes": expected.most_bytes}
    for number, verdict, why in (
        (expected.least_bytes, failed, "a run that has something to back up ends with 13"),
        (expected.most_bytes, warned, "the backup may not fit, and the run ends with 33 then"),
    ):
        try:
            store.refuse_unusable(number)
        except (PolicyRefused, BackupFailed) as error:
            return verdict(error.message, why=why, remedy=error.remedy, **facts)
    size = scope.moment.database_size_bytes
    limit = settings.backup_max_size
    if limit is not None and size > limit:
        return failed(
            f"the database has {size} bytes, which is above MIGRATOR_BACKUP_MAX_SIZE ({limit})",
            why="a run that has something to back up ends with 13",
            remedy=f"export MIGRATOR_BACKUP_MAX_SIZE={2 * size}",
            **facts,
        )
    return passed(f"the next backup, of {expected.most_bytes} bytes at most, has room", **facts)


def _last(patient: Patient) -> Iterator[Finding]:
    told = _needless(patient)
    if told or patient.desk.settings.backup_url is None:
        yield told or _nowhere()
        return
    store = _store(patient)
    found = take_stock_of(store)
    for what in found.unreadable:
        yield warned(
            f"unreadable: {what}",
            why="an archive without its manifest proves nothing, and is not offered for a restore",
            remedy="migrator backups",
        )
    if not found.manifests:
        yield warned(
            f"no backup in {store.location('')}",
            why="if something is lost now, nothing brings it back",
            remedy="migrator backup",
        )
        return
    yield _judged(found.manifests[-1], _last_change(patient), utc_now())


def _judged(last: Manifest, changed: RecordedRun | None, now: datetime) -> Finding:
    age = now - last.finished
    partial = f", partial: without {', '.join(last.missing)}" if last.is_partial else ""
    seen = (
        f"{last.file} of {last.finished:%Y-%m-%d %H:%M}Z ({age.total_seconds() / 3600:.1f} hours ago), "
        f"at {', '.join(last.heads) or 'no revision'}, proven by {last.verified}{partial}"
    )
    facts = {
        "file": last.file,
        "age_seconds": round(age.total_seconds()),
        "verified": last.verified,
        "partial": last.is_partial,
    }
    # A run is recorded once its own backup is taken.
    if changed and changed.started and changed.id != last.run_id and last.finished < changed.started:
        return warned(
            f"{seen}; a run that changed the database began later, at {changed.started:%Y-%m-%d %H:%M}Z",
            why="that run took no backup of its own here: a restore would lose what was written before it",
            remedy="migrator backup",
            **facts,
        )
    return passed(seen, **facts)


def _last_change(patient: Patient) -> RecordedRun | None:
    """The last run that applied something; without the server nobody knows."""
    try:
        runs = last_runs(patient.session(), at_most=_RUNS)
    except MigratorError:
        return None
    return next((one for one in runs if one.applied), None)


def _needless(patient: Patient) -> Finding | None:
    settings = patient.desk.settings
    if settings.backup == "off":
        return passed("MIGRATOR_BACKUP=off: no backup is taken")
    if settings.backup_command:
        return passed("MIGRATOR_BACKUP_COMMAND takes the backup, and only it knows of it")
    return None


def _store(patient: Patient) -> Store:
    desk = patient.desk
    try:
        database = patient.session().database
    except MigratorError:  # a store can be looked at without the server, as `migrator backups` does
        database = desk.dsn.database or desk.environ.get("PGDATABASE") or desk.dsn.user or ""
    return store_of(desk, database)


CHECKS: tuple[Check, ...] = (
    Check("backup.client", _client),
    Check("backup.destination", _destination),
    Check("backup.space", _space),
    Check("backup.last", _last),
)
