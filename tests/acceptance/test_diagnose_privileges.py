"""Diagnose, privileges: what the role lacks, and the grant that gives it."""

import dataclasses
from collections.abc import Iterator

import pytest

from migrator.diagnosis.checks import privileges
from migrator.diagnosis.finding import Finding, Verdict
from tests.support.journal import write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import Project
from tests.support.runner import Migrator
from tests.support.target import AWKWARD, Target

FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


@pytest.fixture
def stranger(target: Target) -> Iterator[Target]:
    """The target, as a role sees it that owns nothing; its name must be quoted."""
    name, password = f"Stranger of {target.database}", f"{AWKWARD}stranger"
    target.cluster.create_role(name, password)
    yield dataclasses.replace(target, user=name, password=password)
    with target.admin() as session:
        session.execute(f'DROP OWNED BY "{name}"'.encode())
        session.execute(f'DROP ROLE "{name}"'.encode())


def answer(migrator: Migrator, id_: str, who: Target, **environ: str | None) -> list[Finding]:
    """What one check says of this role."""
    patient = patient_of(migrator, DATABASE_URL=who.url, **environ)
    return asked(named(privileges.CHECKS, id_), patient)


def at_the_beginning(project: Project, target: Target) -> None:
    """The database is at a0, so that what follows is pending whatever else is there."""
    project.write_revision("a0")
    target.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    target.execute("INSERT INTO alembic_version VALUES ('a0')")
    target.execute("GRANT SELECT ON alembic_version TO PUBLIC")


def cure(target: Target, found: Finding) -> None:
    """Paste the remedy into a superuser's session."""
    with target.admin() as session:
        session.execute(found.remedy.encode())


def assert_cured(
    migrator: Migrator, id_: str, who: Target, *, verdict: Verdict, **environ: str | None
) -> Finding:
    """See this verdict, paste the remedy, and see that the check passes."""
    (found,) = answer(migrator, id_, who, **environ)
    assert found.verdict is verdict, found
    cure(who, found)
    (after,) = answer(migrator, id_, who, **environ)
    assert after.verdict is PASS, after
    return found


def test_the_owner_lacks_nothing_but_what_only_a_superuser_gives(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    told = {
        one.id: [found.verdict for found in answer(migrator, one.id, target)] for one in privileges.CHECKS
    }
    assert told.pop("privileges.scratch") == [WARN]
    assert told.pop("privileges.stats") == [WARN]
    assert all(verdicts == [PASS] for verdicts in told.values()), told


def test_connect(migrator: Migrator, stranger: Target) -> None:
    with stranger.admin() as session:
        session.execute(f'REVOKE CONNECT ON DATABASE "{stranger.database}" FROM PUBLIC'.encode())
    assert_cured(migrator, "privileges.connect", stranger, verdict=FAIL)


def test_a_wrong_password_is_no_privilege(migrator: Migrator, stranger: Target) -> None:
    (found,) = answer(migrator, "privileges.connect", dataclasses.replace(stranger, password="wrong"))
    assert found.verdict is Verdict.IMPOSSIBLE


def test_create_in_the_schema_of_the_version_table(
    migrator: Migrator, project: Project, stranger: Target
) -> None:
    write_journal(project, "a1")
    found = assert_cured(migrator, "privileges.create", stranger, verdict=FAIL)
    assert "schema public" in found.seen
    with stranger.admin() as session:
        session.execute('CREATE SCHEMA "Tenant One"')
    assert_cured(
        migrator,
        "privileges.create",
        stranger,
        verdict=FAIL,
        MIGRATOR_VERSION_TABLE="version",
        MIGRATOR_VERSION_TABLE_SCHEMA="Tenant One",
    )


@pytest.mark.parametrize(
    "upgrade",
    [
        "op.add_column('notes', sa.Column('extra', sa.Integer))",
        "op.create_index('ix', 'notes', ['words'])",
        "op.drop_constraint('ck', table_name='notes')",
        "op.execute('ALTER TABLE IF EXISTS ONLY public.notes ADD extra int')",
        "op.execute(sa.text('CREATE INDEX CONCURRENTLY ix ON notes (words)'))",
        "with op.batch_alter_table('notes') as batch_op:\n    batch_op.drop_column('words')",
    ],
)
def test_tables_that_pending_revisions_alter_must_be_the_roles(
    migrator: Migrator, project: Project, target: Target, stranger: Target, upgrade: str
) -> None:
    target.execute("CREATE TABLE notes (words text); CREATE TABLE other (words text)")
    at_the_beginning(project, target)
    project.write_revision("a1", upgrade=upgrade, downgrade="op.execute('ALTER TABLE other ADD x int')")
    found = assert_cured(migrator, "privileges.ownership", stranger, verdict=FAIL)
    assert found.seen.startswith("a pending revision alters public.notes, which belongs to")
    assert found.remedy == f'GRANT "{target.user}" TO "{stranger.user}"'


def test_a_superusers_table_is_given_away(migrator: Migrator, project: Project, target: Target) -> None:
    with target.admin() as session:
        session.execute("CREATE TABLE notes (words text)")
    at_the_beginning(project, target)
    project.write_revision("a1", upgrade="op.drop_table('notes')")
    found = assert_cured(migrator, "privileges.ownership", target, verdict=FAIL)
    assert found.remedy == f'ALTER TABLE public.notes OWNER TO "{target.user}"'


def test_what_cannot_be_read_of_a_revision_is_said(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a1", upgrade="for one in ('x', 'y'):\n    op.drop_column(one, 'words')")
    (found,) = answer(migrator, "privileges.ownership", target)
    assert found.verdict is PASS
    assert "what a1 may alter besides cannot be read from its text" in found.seen


def test_every_table_must_be_readable_for_pg_dump(migrator: Migrator, target: Target) -> None:
    with target.admin() as session:
        session.execute("CREATE TABLE hidden_notes (words text)")
    found = assert_cured(migrator, "privileges.readable", target, verdict=FAIL)
    assert "public.hidden_notes" in found.seen
    assert "BYPASSRLS" not in found.seen


def test_row_security_hides_rows_from_pg_dump_unless_they_are_left_out(
    migrator: Migrator, target: Target
) -> None:
    target.execute("CREATE TABLE notes (words text)")
    target.execute("ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
    target.execute("ALTER TABLE notes FORCE ROW LEVEL SECURITY")
    (left_out,) = answer(migrator, "privileges.readable", target, MIGRATOR_BACKUP_EXCLUDE_DATA="notes")
    assert left_out.verdict is PASS
    found = assert_cured(migrator, "privileges.readable", target, verdict=FAIL)
    assert found.remedy == f'ALTER ROLE "{target.user}" BYPASSRLS'


def test_without_a_dump_nothing_need_be_readable(migrator: Migrator, target: Target) -> None:
    with target.admin() as session:
        session.execute("CREATE TABLE hidden_notes (words text)")
    (found,) = answer(migrator, "privileges.readable", target, MIGRATOR_BACKUP="off")
    assert found.verdict is PASS


def test_create_on_the_database_for_the_ledger(migrator: Migrator, stranger: Target) -> None:
    found = assert_cured(migrator, "privileges.ledger", stranger, verdict=WARN)
    assert found.remedy.startswith(f'GRANT CREATE ON DATABASE "{stranger.database}" TO ')


def test_a_ledger_that_belongs_to_another_role(
    migrator: Migrator, project: Project, target: Target, stranger: Target
) -> None:
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    found = assert_cured(migrator, "privileges.ledger", stranger, verdict=WARN)
    assert found.remedy == f'GRANT "{target.user}" TO "{stranger.user}"'


def test_createdb_for_scratch_databases(migrator: Migrator, target: Target, stranger: Target) -> None:
    (found,) = answer(migrator, "privileges.scratch", target, MIGRATOR_SCRATCH_DATABASE_URL=stranger.url)
    assert found.verdict is PASS
    assert_cured(migrator, "privileges.scratch", target, verdict=WARN)
    assert_cured(migrator, "privileges.scratch", stranger, verdict=FAIL, MIGRATOR_BACKUP_VERIFY="restore")


def test_pg_read_all_stats(migrator: Migrator, target: Target) -> None:
    assert_cured(migrator, "privileges.stats", target, verdict=WARN)
