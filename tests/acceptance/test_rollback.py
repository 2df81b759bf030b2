"""Revisions are taken back by their own downgrades: after a backup, and never with rows nobody gave up."""

import signal

import pytest

from tests.support.journal import version
from tests.support.project import Project
from tests.support.replay import let_make_databases, scratch_databases, untouched
from tests.support.runner import Migrator
from tests.support.target import Target
from tests.support.waiting import eventually

SHELF = "op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True))"
NAME = "op.add_column('shelf', sa.Column('name', sa.Text))"
LABEL = "op.create_table('Label', sa.Column('x', sa.Integer))"


@pytest.fixture(autouse=True)
def at_c3(target: Target, project: Project, migrator: Migrator) -> None:
    """A database at the third of three revisions, whose owner may make databases."""
    let_make_databases(target)
    project.write_revision("a1", upgrade=SHELF, downgrade="op.drop_table('shelf')")
    project.write_revision("b2", upgrade=NAME, downgrade="op.drop_column('shelf', 'name')")
    project.write_revision("c3", upgrade=LABEL, downgrade="op.drop_table('Label')")
    assert migrator("run").exit_code == 0


def archives(migrator: Migrator) -> list[str]:
    return sorted(path.name for path in migrator.backups.rglob("*.dump"))


@pytest.mark.usefixtures("any_cluster")
def test_one_step_back_is_taken_after_a_backup_and_seen_on_a_fresh_connection(
    migrator: Migrator, target: Target
) -> None:
    result = migrator("rollback", "--steps", "1")
    assert result.exit_code == 0, result.last
    assert version(target) == ["b2"]
    assert target.value("SELECT to_regclass('\"Label\"')") is None
    assert len(archives(migrator)) == 1
    assert [event["revision"] for event in result.named("revision.reverted")] == ["c3"]
    assert result.last["taken_back"] == ["c3"]
    assert result.last["outcome"] == "done"
    assert result.last["heads_after"] == ["b2"]
    assert scratch_databases(target) == []
    names = [event["event"] for event in result.events]
    assert names.index("backup.verified") < names.index("revision.reverted") < names.index("schema.verified")


def test_base_takes_everything_back_and_a_run_brings_it_up_again(migrator: Migrator, target: Target) -> None:
    assert migrator("rollback", "--to", "base").exit_code == 0
    assert version(target) == []
    assert target.value("SELECT to_regclass('shelf')") is None
    assert migrator("run").exit_code == 0
    assert version(target) == ["c3"]


def test_the_ledger_has_it_and_the_gate_of_this_release_waits(migrator: Migrator, target: Target) -> None:
    assert migrator("rollback", "--to", "a1").exit_code == 0
    row = target.rows("SELECT heads_before, heads_after, exit_code FROM migrator.run ORDER BY started_at")[-1]
    assert row == (["c3"], ["a1"], 0)
    assert migrator("gate", MIGRATOR_GATE_TIMEOUT="1s").exit_code == 35


@pytest.mark.usefixtures("any_cluster")
def test_rows_that_would_go_are_shown_and_kept(migrator: Migrator, target: Target) -> None:
    target.execute("INSERT INTO shelf VALUES (1, 'one'), (2, NULL); INSERT INTO \"Label\" VALUES (1)")
    with untouched(target):
        result = migrator("rollback", "--to", "a1")
    assert result.exit_code == 17
    assert result.last["losses"] == [
        'revision c3: its downgrade drops table public."Label" with 1 row',
        "revision b2: its downgrade drops column public.shelf.name, set in 1 row",
    ]
    assert "--accept-data-loss c3 --accept-data-loss b2" in result.last["remedy"]
    assert archives(migrator) == []


def test_rows_that_a_policy_hides_from_us_are_kept_too(migrator: Migrator, target: Target) -> None:
    target.execute('ALTER TABLE "Label" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')
    with target.admin() as admin:
        admin.execute('INSERT INTO "Label" VALUES (1)')
    result = migrator("rollback", "--steps", "1", MIGRATOR_BACKUP="off")
    assert (result.exit_code, version(target)) == (17, ["c3"]), result.last
    assert 'table public."Label" with rows that cannot be counted' in result.last["error"]


def test_what_was_accepted_may_go_and_is_still_shown(migrator: Migrator, target: Target) -> None:
    target.execute('INSERT INTO "Label" VALUES (1)')
    result = migrator("rollback", "--steps", "1", "--accept-data-loss", "c3")
    assert result.exit_code == 0, result.last
    assert [event["rows"] for event in result.named("hazard.found") if "rows" in event] == [1]


def test_one_accepted_revision_does_not_accept_another(migrator: Migrator, target: Target) -> None:
    target.execute("INSERT INTO shelf VALUES (1, 'one'); INSERT INTO \"Label\" VALUES (1)")
    result = migrator("rollback", "--to", "a1", "--accept-data-loss", "c3")
    assert (result.exit_code, version(target)) == (17, ["c3"])
    assert len(result.last["losses"]) == 1


def test_a_step_without_a_downgrade_is_refused_before_anything(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("d4", upgrade="op.execute('SELECT 1')", downgrade="pass")
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    with untouched(target):
        result = migrator("rollback", "--to", "b2")
    assert (result.exit_code, result.last["without_downgrade"]) == (17, ["d4"])
    assert "restore" in result.last["remedy"]
    assert archives(migrator) == []


def test_a_downgrade_that_fails_fails_on_the_scratch_database(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("d4", upgrade="op.execute('SELECT 1')", downgrade="op.drop_table('nowhere')")
    assert migrator("run").exit_code == 0
    with untouched(target):
        result = migrator("rollback", "--steps", "1")
    assert result.exit_code == 17
    assert "nowhere" in result.last["error"]


def test_a_downgrade_that_fails_on_the_data_says_where_the_database_is(
    migrator: Migrator, project: Project, target: Target
) -> None:
    refuse = "ALTER TABLE shelf ADD CONSTRAINT few CHECK (id < 10)"
    project.write_revision("d4", upgrade="op.execute('SELECT 1')", downgrade=f"op.execute('{refuse}')")
    assert migrator("run").exit_code == 0
    target.execute("INSERT INTO shelf VALUES (11)")
    result = migrator("rollback", "--steps", "1")
    assert (result.exit_code, version(target)) == (14, ["d4"])
    assert "the database is at d4" in result.last["error"]
    assert result.last["taken_back"] == []
    assert migrator("run").exit_code == 0, "a failed rollback is not remembered as a failed deploy"


def test_what_a_downgrade_left_half_done_is_a_matter_of_its_backup(
    migrator: Migrator, project: Project, target: Target
) -> None:
    block = "with op.get_context().autocommit_block():\n    op.execute('{}')"
    project.write_revision(
        "d4",
        upgrade=block.format("CREATE INDEX CONCURRENTLY by_name ON shelf (name)"),
        downgrade=block.format("DROP INDEX CONCURRENTLY by_name")
        + "\nop.execute('SELECT 1 / (1 - count(*)) FROM shelf')",
    )
    assert migrator("run").exit_code == 0
    target.execute("INSERT INTO shelf VALUES (1)")
    result = migrator("rollback", "--steps", "1")
    assert (result.exit_code, result.last["half_applied"]) == (14, ["d4"])
    command = result.last["remedy"].split("`")[1].split()
    assert command[:2] == ["migrator", "restore"]
    assert target.value("SELECT to_regclass('by_name')") is None
    assert migrator(*command[1:]).exit_code == 0
    assert target.value("SELECT to_regclass('by_name')") == "by_name"


def test_without_createdb_only_who_accepts_every_step_goes_back(migrator: Migrator, target: Target) -> None:
    with target.admin() as admin:
        admin.execute(f'ALTER ROLE "{target.user}" NOCREATEDB')
    refused = migrator("rollback", "--to", "a1", "--accept-data-loss", "c3")
    assert (refused.exit_code, version(target)) == (17, ["c3"])
    assert "--accept-data-loss b2" in refused.last["remedy"]
    assert "CREATEDB" in refused.last["remedy"]
    accepted = migrator("rollback", "--to", "a1", "--accept-data-loss", "c3", "--accept-data-loss", "b2")
    assert (accepted.exit_code, version(target)) == (0, ["a1"])


def test_a_database_that_is_ahead_needs_the_newer_releases_image(
    migrator: Migrator, project: Project, target: Target
) -> None:
    next(project.versions.glob("*c3*")).unlink()
    result = migrator("rollback", "--steps", "1")
    assert (result.exit_code, version(target)) == (17, ["c3"])
    assert "newer release's image" in result.last["remedy"]


def test_where_the_database_already_is_there_is_nothing_to_take_back(migrator: Migrator) -> None:
    result = migrator("rollback", "--to", "c3")
    assert (result.exit_code, result.last["taken_back"]) == (0, [])
    assert archives(migrator) == []


@pytest.mark.parametrize(
    "arguments", [(), ("--steps", "0"), ("--steps", "1", "--to", "a1"), ("--steps", "x")]
)
def test_a_command_line_without_one_meaning_is_exit_2(migrator: Migrator, arguments: tuple[str, ...]) -> None:
    assert migrator("rollback", *arguments).exit_code == 2


def test_a_revision_that_is_not_taken_back_cannot_be_accepted(migrator: Migrator, target: Target) -> None:
    result = migrator("rollback", "--steps", "1", "--accept-data-loss", "a1")
    assert (result.exit_code, version(target)) == (17, ["c3"])


def test_a_rollback_that_is_told_to_stop_takes_nothing_back(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision(
        "d4",
        upgrade="op.execute('SELECT 1')",
        downgrade="if op.get_bind().engine.url.database == '"
        + target.database
        + "':\n    op.execute('SELECT pg_sleep(600)')",
    )
    assert migrator("run").exit_code == 0
    running = migrator.start("rollback", "--steps", "1")
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
    )
    assert eventually(lambda: target.value(sleeping))
    running.signal(signal.SIGTERM)
    result = running.finish()
    assert (result.exit_code, version(target)) == (143, ["d4"])


def test_tables_are_waited_for_as_in_a_run(migrator: Migrator, target: Target) -> None:
    with target.connect() as app:
        app.execute('BEGIN; SELECT * FROM "Label"')
        result = migrator("rollback", "--steps", "1", MIGRATOR_LOCK_PATIENCE="1s")
    assert (result.exit_code, version(target)) == (32, ["c3"])
