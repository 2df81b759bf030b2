"""The way back: a backup takes the target's place, or nothing changes and the reason is told."""

import contextlib
import dataclasses
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from migrator.backup.contents import checksums, large_objects
from migrator.backup.manifest import TableContents
from migrator.clock import Stop
from migrator.demo.cluster import Cluster
from migrator.postgres.session import Connector
from migrator.schema.reading import read_snapshot
from migrator.settings import Dsn
from tests.support.backups import CONTENTS, TABLES
from tests.support.journal import journal, version, write_journal
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import process_list
from tests.support.project import Project
from tests.support.projects import dump
from tests.support.proxy import flipped
from tests.support.replay import let_make_databases
from tests.support.runner import Migrator, Result
from tests.support.schemas import EVERYTHING
from tests.support.servers import DEFAULT, binaries
from tests.support.target import Target, target_on
from tests.support.waiting import eventually

OURS = "SELECT datname FROM pg_database WHERE datdba = current_user::regrole ORDER BY 1"


@pytest.fixture
def deployed(migrator: Migrator, project: Project, target: Target) -> Target:
    """A target with one revision and rows, of which there is a backup; the second revision came after it."""
    let_make_databases(target)
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    target.execute("INSERT INTO journal (revision) SELECT md5(n::text) FROM generate_series(1, 1000) n")
    write_journal(project, "b2", begins=False)
    return target


@pytest.fixture
def backed_up(migrator: Migrator, deployed: Target) -> Target:
    """The target after the run that took the backup and applied the second revision."""
    assert migrator().exit_code == 0
    assert version(deployed) == ["b2"]
    return deployed


def databases(target: Target) -> list[str]:
    """Name the databases that the target's owner owns."""
    return [name for (name,) in target.rows(OURS)]


def assert_refused(result: Result, target: Target, *words: str) -> None:
    """See exit 17 with these words, the target as it was, and no database beside it."""
    assert result.exit_code == 17, result.last
    last = result.last
    assert (last["event"], last["exit_name"], last["retryable"]) == ("run.finished", "RECOVERY_FAILED", False)
    assert "nothing was swapped" in last["error"]
    for word in words:
        assert word in f"{last['error']} {last['remedy']}", last
    assert not result.named("database.swapped")
    assert databases(target) == [target.database]
    assert version(target) == ["b2"]
    assert "b2" in journal(target)


def archive(migrator: Migrator) -> Path:
    """Find the one archive there is."""
    (found,) = migrator.backups.rglob("*.dump")
    return found


def test_the_database_is_what_it_was_when_the_backup_was_taken(migrator: Migrator, deployed: Target) -> None:
    before = dump(deployed)
    assert migrator().exit_code == 0
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    assert dump(deployed) == before
    assert version(deployed) == ["a1"]
    aside = result.last["aside"]
    assert databases(deployed) == sorted([deployed.database, aside])
    old = dataclasses.replace(deployed, database=aside)
    assert version(old) == ["b2"]
    assert result.last["drop"] == f'DROP DATABASE "{aside}"'
    assert result.last["outcome"] == "done"
    deployed.execute(result.last["drop"])
    assert [event["event"] for event in result.events if event["event"] in STORY] == STORY


@pytest.mark.postgres
def test_every_kind_of_object_is_there_again_with_all_it_held(migrator: Migrator, deployed: Target) -> None:
    deployed.execute(EVERYTHING)
    deployed.execute(CONTENTS)
    before = contents(deployed)
    result = migrator()
    assert result.exit_code == 0, result.last
    deployed.execute("DROP TABLE book CASCADE; DELETE FROM measure")
    result = migrator("restore", result.last["backup"]["location"])
    assert result.exit_code == 0, result.last
    assert contents(deployed) == before


def contents(target: Target) -> tuple[str, dict[str, TableContents], TableContents]:
    """Tell the schema, rows and checksums of each table, and large objects."""
    with Connector(Dsn.parse(target.url), "migrator test", Stop()).reopen("the target") as session:
        tables = [table for (table,) in session.rows(TABLES)]
        return read_snapshot(session).fingerprint, checksums(session, tables), large_objects(session)


STORY = ["lock.acquired", "restore.started", "restore.verified", "database.swapped", "run.finished"]


@pytest.mark.usefixtures("backed_up")
def test_with_sessions_connected_nothing_is_begun_and_they_are_listed(
    migrator: Migrator, target: Target
) -> None:
    with target.connect(application_name="shop web"):
        result = migrator("restore", "latest")
    assert_refused(result, target, "shop web", "--disconnect", "--into")
    assert not result.named("restore.started")


def test_disconnect_ends_them(migrator: Migrator, backed_up: Target) -> None:
    with backed_up.connect(application_name="shop web") as session:
        result = migrator("restore", "latest", "--disconnect")
        assert result.exit_code == 0, result.last
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert version(backed_up) == ["a1"]


def test_an_app_that_connects_again_and_again_does_not_slip_in(migrator: Migrator, backed_up: Target) -> None:
    with crowd(backed_up):
        result = migrator("restore", "latest", "--disconnect")
    assert result.exit_code == 0, result.last
    assert version(backed_up) == ["a1"]


@contextlib.contextmanager
def crowd(target: Target) -> Iterator[None]:
    """Eight clients that connect, ask and connect again, whatever happens to them."""
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            with contextlib.suppress(psycopg.Error), target.connect() as session:
                session.execute("SELECT pg_sleep(0.02)")

    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in clients:
            one.join()


@pytest.mark.usefixtures("backed_up")
def test_without_createdb_nothing_is_begun(migrator: Migrator, target: Target) -> None:
    with target.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(target.user)))
    result = migrator("restore", "latest")
    assert_refused(result, target, "CREATEDB")
    assert not result.named("restore.started")


@pytest.mark.usefixtures("backed_up")
def test_into_leaves_it_beside_and_the_target_as_it_was(migrator: Migrator, target: Target) -> None:
    with target.connect():
        result = migrator("restore", "latest", "--into", "Another Place")
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]
    other = dataclasses.replace(target, database="Another Place")
    assert version(other) == ["a1"]
    assert len(journal(other)) == 1001
    again = migrator("restore", "latest", "--into", "Another Place")
    assert (again.exit_code, "already" in again.last["error"]) == (17, True), again.last
    assert version(other) == ["a1"]


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (flipped, "sha256"),
        (lambda archive: archive[: len(archive) // 2], "bytes"),
        (lambda _: None, "not there"),
    ],
)
@pytest.mark.usefixtures("backed_up")
def test_a_damaged_archive_is_never_begun(
    migrator: Migrator, target: Target, damage: Callable[[bytes], bytes | None], word: str
) -> None:
    path = archive(migrator)
    damaged = damage(path.read_bytes())
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    result = migrator("restore", "latest")
    assert_refused(result, target, word)
    assert not result.named("restore.started")


@pytest.mark.usefixtures("backed_up")
def test_what_restores_but_is_not_what_the_manifest_says_is_dropped(
    migrator: Migrator, target: Target
) -> None:
    edit_manifest(migrator, tables={"public.journal": {"rows": 7, "checksum": None}})
    assert_refused(migrator("restore", "latest"), target, "public.journal has 1001 rows, not 7")


@pytest.mark.usefixtures("backed_up")
def test_a_partial_backup_takes_nobodys_place(migrator: Migrator, target: Target) -> None:
    edit_manifest(migrator, missing=["public.journal"])
    assert_refused(migrator("restore", "latest"), target, "partial", "public.journal", "--into")
    result = migrator("restore", "latest", "--into", f"{target.database}_part")
    assert result.exit_code == 0, result.last
    assert any("partial" in event["message"] for event in result.named("hazard.found"))


@pytest.mark.usefixtures("backed_up")
def test_an_unknown_encryption_is_refused(migrator: Migrator, target: Target) -> None:
    edit_manifest(migrator, encryption="age")
    assert_refused(migrator("restore", "latest"), target, "encrypted as 'age'")


def edit_manifest(migrator: Migrator, **facts: Any) -> None:
    """Change what the one manifest says."""
    (path,) = migrator.backups.rglob("*.manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, **facts}))


@pytest.mark.usefixtures("backed_up")
def test_a_backup_that_is_not_there_is_refused_with_those_that_are(
    migrator: Migrator, target: Target
) -> None:
    assert_refused(migrator("restore", "20200101"), target, archive(migrator).name)


@pytest.mark.usefixtures("backed_up")
def test_the_latest_of_another_server_that_shares_the_place_is_only_restored_by_its_name(
    migrator: Migrator, target: Target
) -> None:
    edit_manifest(migrator, database_id="another/server")
    assert_refused(migrator("restore", "latest"), target, "this very database", archive(migrator).name)
    result = migrator("restore", archive(migrator).name)
    assert (result.exit_code, version(target)) == (0, ["a1"]), result.last
    assert any("this very database" in event["message"] for event in result.named("hazard.found"))


def test_without_a_place_of_backups_it_is_exit_10(migrator: Migrator, target: Target) -> None:
    del target
    result = migrator("restore", "latest", MIGRATOR_BACKUP_URL=None)
    assert (result.exit_code, "MIGRATOR_BACKUP_URL" in result.last["error"]) == (10, True)


# Takes long to restore, and no time to make.
SLOW = """
CREATE FUNCTION pause() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    IF current_database() ~ '_restore_' THEN PERFORM pg_sleep(60); END IF; RETURN 1;
END $$;
CREATE MATERIALIZED VIEW slow AS SELECT public.pause();
"""
RESTORING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^REFRESH' AND state = 'active' AND datname ~ %s"
)


def count_refreshes(target: Target) -> int:
    """How many sessions fill the view right now; seen from another database, for ours would be in the way."""
    with psycopg.connect(**target.cluster.admin_params(), autocommit=True) as session:
        row = session.execute(RESTORING, [f"^{target.database}_restore_"]).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_restore_that_is_stopped_leaves_the_target_as_it_was(
    migrator: Migrator, deployed: Target, number: signal.Signals, code: int
) -> None:
    deployed.execute(SLOW)
    assert migrator().exit_code == 0
    running = migrator.start("restore", "latest")
    assert eventually(lambda: count_refreshes(deployed) == 1)
    running.signal(number)
    result = running.finish()
    assert result.exit_code == code
    assert version(deployed) == ["b2"]
    if number is signal.SIGTERM:
        assert result.seconds < 60
        assert databases(deployed) == [deployed.database]
        return
    (left,) = (name for name in databases(deployed) if name != deployed.database)
    assert eventually(lambda: count_refreshes(deployed) == 0)
    told = [event["message"] for event in migrator("restore", "nothing").named("hazard.found")]
    assert any(f'DROP DATABASE "{left}"' in message for message in told)


@pytest.mark.usefixtures("backed_up")
def test_a_database_of_a_restore_that_was_killed_as_it_made_it_is_told(
    migrator: Migrator, target: Target
) -> None:
    left, other = f"{target.database}_restore_20260101000000", f"{target.database}_restore_mine"
    target.execute(f"CREATE DATABASE {left}")
    target.execute(f"CREATE DATABASE {other}")
    told = [event["message"] for event in migrator("restore", "nothing").named("hazard.found")]
    assert [f'DROP DATABASE "{left}"' in message for message in told] == [True]


@pytest.mark.usefixtures("deployed")
def test_no_program_gets_the_password_as_an_argument(migrator: Migrator, target: Target) -> None:
    target.execute(SLOW.replace("60", "1"))
    assert migrator().exit_code == 0
    with process_list() as seen:
        assert migrator("restore", "latest").exit_code == 0
    assert any("pg_restore" in line for line in seen)
    secrets = {target.password, quote(target.password, safe="")}
    assert [line for line in seen if any(secret in line for secret in secrets)] == []


def test_what_stands_outside_of_a_database_is_carried_over(migrator: Migrator, backed_up: Target) -> None:
    name, user = sql.Identifier(backed_up.database), sql.Identifier(backed_up.user)
    with backed_up.admin() as admin:
        for statement in (
            "ALTER DATABASE {0} SET search_path = \"$user\", public, 'We ird'",
            "ALTER DATABASE {0} SET work_mem = '7MB'",
            "ALTER DATABASE {0} SET application_name = 'it''s \\ mine'",
            "ALTER ROLE {1} IN DATABASE {0} SET statement_timeout = '123s'",
            "ALTER DATABASE {0} CONNECTION LIMIT 77",
            "COMMENT ON DATABASE {0} IS 'it''s ours'",
            "REVOKE CONNECT, TEMPORARY ON DATABASE {0} FROM PUBLIC",
            "GRANT TEMPORARY ON DATABASE {0} TO pg_monitor WITH GRANT OPTION",
        ):
            admin.execute(sql.SQL(statement).format(name, user))
        before = admin.execute(STANDING).fetchall()
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    with backed_up.admin() as admin:
        assert admin.execute(STANDING).fetchall() == before


def test_what_only_a_superuser_may_set_is_told_by_name(migrator: Migrator, backed_up: Target) -> None:
    with backed_up.admin() as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} SET app.secret = 'hunter2'").format(sql.Identifier(backed_up.database))
        )
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    assert any("SET app.secret" in event["message"] for event in result.named("hazard.found"))
    assert result.last["not_carried_over"]
    assert "hunter2" not in result.stdout


STANDING = """
SELECT datdba::regrole::text, datconnlimit, shobj_description(d.oid, 'pg_database'), dattablespace,
    datallowconn, encoding, datcollate, datctype,
    ARRAY(SELECT a::text FROM unnest(datacl) a ORDER BY 1),
    ARRAY(SELECT setrole::regrole::text || array_to_string(
        ARRAY(SELECT c FROM unnest(setconfig) c ORDER BY 1), ';'
    ) FROM pg_db_role_setting WHERE setdatabase = d.oid ORDER BY 1)
FROM pg_database d WHERE datname = current_database()
"""


def test_the_ledger_tells_of_the_restore(migrator: Migrator, backed_up: Target) -> None:
    result = migrator("restore", "latest")
    rows = backed_up.rows(
        "SELECT outcome, exit_code, heads_before, heads_after, backup_location FROM migrator.run "
        "WHERE id = %s",
        result.last["run_id"],
    )
    assert rows == [("restored", 0, ["b2"], ["a1"], str(archive(migrator)))]
    losses = [
        event["message"] for event in result.named("hazard.found") if "written since" in event["message"]
    ]
    assert len(losses) == 1
    assert "runs since then" in losses[0]


def test_objects_of_others_keep_their_owner_or_the_target_stays(migrator: Migrator, deployed: Target) -> None:
    with deployed.admin() as admin:
        admin.execute("CREATE TABLE theirs (id int)")
        admin.execute(sql.SQL("GRANT SELECT ON theirs TO {}").format(sql.Identifier(deployed.user)))
    assert migrator().exit_code == 0
    assert_refused(migrator("restore", "latest"), deployed, "objects of postgres", "--into")
    result = migrator("restore", "latest", "--into", f"{deployed.database}_ours")
    assert result.exit_code == 0, result.last
    assert any("--no-owner" in event["message"] for event in result.named("hazard.found"))


def test_members_of_an_extension_come_back_and_without_the_right_to_make_it_nothing_is_swapped(
    migrator: Migrator, deployed: Target
) -> None:
    with deployed.admin() as admin:
        admin.execute("CREATE EXTENSION vector")
    deployed.execute("CREATE TABLE point (at vector(2)); INSERT INTO point VALUES ('[1,2]'), (NULL)")
    before = contents(deployed)
    assert migrator().exit_code == 0
    deployed.execute("DELETE FROM point")
    refused = migrator("restore", "latest")
    assert_refused(refused, deployed, 'permission denied to create extension "vector"', "want a superuser")
    with deployed.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(deployed.user)))
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    assert contents(deployed) == before
    assert deployed.rows("SELECT extname FROM pg_extension ORDER BY 1") == [("plpgsql",), ("vector",)]


def test_a_privilege_of_a_role_that_is_gone_is_told_by_its_name(migrator: Migrator, deployed: Target) -> None:
    reader = sql.Identifier(f"reader_of_{deployed.user}")
    with deployed.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {0}; GRANT SELECT ON journal TO {0}").format(reader))
        assert migrator().exit_code == 0
        admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(reader))
    result = migrator("restore", "latest")
    assert_refused(result, deployed, f'role "reader_of_{deployed.user}" does not exist', "CREATE ROLE")


@pytest.fixture
def preparing() -> Iterator[Target]:
    """A target on a server that knows transactions of two phases."""
    settings = {"max_prepared_transactions": "1"}
    with Cluster.start(binaries(DEFAULT), settings=settings) as cluster, target_on(cluster) as target:
        yield target


def test_a_prepared_transaction_is_named_and_stays(
    migrator: Migrator, project: Project, preparing: Target
) -> None:
    let_make_databases(preparing)
    write_journal(project, "a1")
    there = dataclasses.replace(migrator, environ={**migrator.environ, "DATABASE_URL": preparing.url})
    assert there().exit_code == 0
    assert there("backup").exit_code == 0
    preparing.execute("BEGIN; INSERT INTO journal VALUES ('mine'); PREPARE TRANSACTION 'two phases'")
    result = there("restore", "latest", "--disconnect")
    assert result.exit_code == 17, result.last
    assert "prepared in the database: two phases" in result.last["error"]
    assert databases(preparing) == [preparing.database]
    preparing.execute("COMMIT PREPARED 'two phases'")
    assert journal(preparing) == ["a1", "mine"]


@pytest.mark.parametrize("name", ["", "n" * 64])
def test_what_is_no_name_of_a_database_is_exit_2(migrator: Migrator, name: str) -> None:
    assert migrator("restore", "latest", "--into", name).exit_code == 2


def test_a_superusers_schema_public_is_no_obstacle(migrator: Migrator, deployed: Target) -> None:
    with deployed.admin() as admin:
        admin.execute("ALTER SCHEMA public OWNER TO postgres")
        admin.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(deployed.user)))
    assert migrator().exit_code == 0
    result = migrator("restore", "latest")
    assert result.exit_code == 0, result.last
    assert version(deployed) == ["a1"]
    deployed.execute("CREATE TABLE more (id int)")


@pytest.mark.usefixtures("backed_up")
def test_through_a_pooler_nothing_is_replaced(
    migrator: Migrator, target: Target, pgbouncer: Callable[..., PgBouncer]
) -> None:
    pooler = pgbouncer(pool_mode="session")
    result = migrator("restore", "latest", DATABASE_URL=pooler.url, MIGRATOR_ON_POOLER="session")
    assert_refused(result, target, "pooler", "MIGRATOR_DIRECT_DATABASE_URL")


@pytest.mark.usefixtures("backed_up")
def test_while_another_leads_nothing_is_replaced(migrator: Migrator, target: Target) -> None:
    with target.connect() as other:
        other.execute(f"SELECT pg_advisory_lock({0x4D475254}, 1)")
        result = migrator("restore", "latest", "--disconnect", MIGRATOR_LEADER_TIMEOUT="1s")
    assert result.exit_code == 31, result.last
    assert version(target) == ["b2"]


def test_after_a_run_that_broke_half_way_the_database_is_what_it_was(
    migrator: Migrator, project: Project, deployed: Target
) -> None:
    before = dump(deployed)
    project.write_env(
        (project.folder / "migrations/env.py")
        .read_text()
        .replace(
            "target_metadata=target_metadata\n",
            "target_metadata=target_metadata, transaction_per_migration=True\n",
        )
    )
    project.write_revision("c3", upgrade="op.execute('DROP TABLE journal')")
    project.write_revision("d4", upgrade="op.execute('SELECT broken')")
    project.write_revision("e5")
    failed = migrator()
    assert failed.exit_code == 14
    assert failed.last["committed"] == ["b2", "c3"]
    location = failed.last["backup"]["location"]
    result = migrator("restore", location)
    assert result.exit_code == 0, result.last
    assert dump(deployed) == before
    assert version(deployed) == ["a1"]


def test_a_backup_proven_by_restoring_says_so_and_comes_back(migrator: Migrator, deployed: Target) -> None:
    deployed.execute(EVERYTHING)
    deployed.execute(CONTENTS)
    before = contents(deployed)
    result = migrator(MIGRATOR_BACKUP_VERIFY="restore")
    assert result.exit_code == 0, result.last
    (path,) = migrator.backups.rglob("*.manifest.json")
    manifest = json.loads(path.read_text())
    assert manifest["verified"] == "restore"
    assert all(one["checksum"] for one in manifest["tables"].values())
    assert databases(deployed) == [deployed.database]
    restored = migrator("restore", "latest")
    assert restored.exit_code == 0, restored.last
    assert contents(deployed) == before
