"""Diagnose, schema: what is half-made, runs out or drifted, and the SQL that repairs it."""

import psycopg
import pytest

from migrator.diagnosis.checks import schema
from migrator.diagnosis.finding import Finding, Verdict
from tests.support.journal import write_journal
from tests.support.patient import asked, named, patient_of
from tests.support.project import ENV, Project
from tests.support.replay import let_make_databases, scratch_databases
from tests.support.runner import Migrator
from tests.support.target import Target

FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


def answer(migrator: Migrator, id_: str) -> Finding:
    """What one check says, in one finding."""
    (found,) = asked(named(schema.CHECKS, id_), patient_of(migrator))
    return found


def assert_cured(migrator: Migrator, target: Target, id_: str, *, verdict: Verdict) -> Finding:
    """See this verdict, paste the remedy as the owner, and see that the check passes."""
    found = answer(migrator, id_)
    assert found.verdict is verdict, found
    target.execute(found.remedy)
    after = answer(migrator, id_)
    assert after.verdict is PASS, after
    return found


@pytest.fixture
def invalid_index(target: Target) -> None:
    """A unique index whose build was interrupted by a duplicate, which is gone by now."""
    target.execute('CREATE TABLE "Notes" (words text)')
    target.execute("""INSERT INTO "Notes" VALUES ('same'), ('same')""")
    with pytest.raises(psycopg.errors.UniqueViolation):
        target.execute('CREATE UNIQUE INDEX CONCURRENTLY "By Words" ON "Notes" (words)')
    target.execute('DELETE FROM "Notes"')


def test_an_empty_schema_lacks_nothing(migrator: Migrator, project: Project) -> None:
    write_journal(project, "a1")
    for check in schema.CHECKS:
        if not check.is_deep:
            assert answer(migrator, check.id).verdict is PASS, check.id


@pytest.mark.usefixtures("invalid_index")
def test_an_invalid_index_is_built_again(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    found = assert_cured(migrator, target, "schema.invalid_indexes", verdict=WARN)
    assert 'public.By Words on "Notes"' in found.seen
    assert target.value("SELECT bool_and(indisvalid) FROM pg_index")


@pytest.mark.usefixtures("invalid_index")
def test_an_invalid_index_that_a_pending_revision_builds_need_only_be_dropped(
    migrator: Migrator, project: Project, target: Target
) -> None:
    project.write_revision("a0")
    target.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    target.execute("INSERT INTO alembic_version VALUES ('a0')")
    project.write_revision(
        "a1",
        upgrade="op.create_index('By Words', 'Notes', ['words'], unique=True, postgresql_concurrently=True)",
    )
    found = assert_cured(migrator, target, "schema.invalid_indexes", verdict=WARN)
    assert "pending revision a1 builds it again" in found.seen
    assert found.remedy.startswith("DROP INDEX CONCURRENTLY")


def test_a_constraint_that_is_not_valid_is_validated(migrator: Migrator, target: Target) -> None:
    target.execute("CREATE TABLE notes (id int PRIMARY KEY)")
    target.execute("ALTER TABLE notes ADD CONSTRAINT few CHECK (id < 9) NOT VALID")
    found = assert_cured(migrator, target, "schema.unvalidated_constraints", verdict=WARN)
    assert found.seen == "constraint few on public.notes is NOT VALID"


@pytest.mark.usefixtures("any_cluster")
@pytest.mark.parametrize("kind", ["serial", "int GENERATED ALWAYS AS IDENTITY"])
def test_a_sequence_near_the_end_of_its_column(migrator: Migrator, target: Target, kind: str) -> None:
    target.execute(f'CREATE TABLE "Notes" (id {kind} PRIMARY KEY)')
    target.execute("""SELECT setval('"Notes_id_seq"', 1500000000)""")
    assert answer(migrator, "schema.sequences").verdict is PASS
    target.execute("""SELECT setval('"Notes_id_seq"', 1800000000)""")
    assert answer(migrator, "schema.sequences").verdict is WARN
    target.execute("""SELECT setval('"Notes_id_seq"', 2147483647)""")
    with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
        target.execute('INSERT INTO "Notes" DEFAULT VALUES')
    found = assert_cured(migrator, target, "schema.sequences", verdict=FAIL)
    assert 'column id of "Notes"' in found.seen
    target.execute('INSERT INTO "Notes" DEFAULT VALUES')


def test_a_sequence_that_outruns_its_column(migrator: Migrator, target: Target) -> None:
    target.execute(
        "CREATE SEQUENCE numbers; CREATE TABLE notes (id int PRIMARY KEY DEFAULT nextval('numbers'))"
    )
    target.execute("ALTER SEQUENCE numbers OWNED BY notes.id; SELECT setval('numbers', 2147483647)")
    assert_cured(migrator, target, "schema.sequences", verdict=FAIL)
    target.execute("INSERT INTO notes DEFAULT VALUES")


def test_a_sequence_of_its_own_near_its_end(migrator: Migrator, target: Target) -> None:
    target.execute("CREATE SEQUENCE tickets MAXVALUE 100; SELECT setval('tickets', 90)")
    found = assert_cured(migrator, target, "schema.sequences", verdict=WARN)
    assert found.seen == "sequence public.tickets has used 90.0% of what it can hold (100)"
    target.execute("CREATE SEQUENCE rounds MAXVALUE 100 CYCLE; SELECT setval('rounds', 90)")
    assert answer(migrator, "schema.sequences").verdict is PASS


def test_tables_without_a_primary_key_get_one(migrator: Migrator, project: Project, target: Target) -> None:
    project.write_revision("a1", upgrade="op.execute('SELECT 1')")
    assert migrator().exit_code == 0  # neither the ledger nor the version table counts
    assert answer(migrator, "schema.primary_keys").verdict is PASS
    target.execute('CREATE TABLE "Keyed" (b int NOT NULL, "A" int NOT NULL, UNIQUE (b, "A"), UNIQUE (b))')
    target.execute("CREATE TABLE nothing (words text UNIQUE)")
    target.execute("CREATE TABLE taken (id text)")
    target.execute("CREATE TABLE parted (day date) PARTITION BY LIST (day)")
    target.execute("CREATE TABLE part PARTITION OF parted DEFAULT")
    target.execute("DROP TABLE parted")
    found = assert_cured(migrator, target, "schema.primary_keys", verdict=WARN)
    assert found.facts["tables"] == ['public."Keyed"', "public.nothing", "public.taken"]
    assert 'ALTER TABLE public."Keyed" ADD PRIMARY KEY (b)' in found.remedy
    assert target.value("SELECT count(*) FROM pg_index WHERE indisprimary AND indrelid = 'taken'::regclass")


def test_drift_is_found_by_replay(
    migrator: Migrator, project: Project, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)  # a worker starts where the command does
    let_make_databases(target)
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE notes (id int PRIMARY KEY, words text)')")
    assert migrator().exit_code == 0
    assert answer(migrator, "schema.drift").verdict is PASS
    target.execute("ALTER TABLE notes ALTER words SET NOT NULL")
    found = assert_cured(migrator, target, "schema.drift", verdict=FAIL)
    assert "public.notes.words" in found.seen
    assert scratch_databases(target) == []


def test_drift_cannot_be_told_without_a_version_or_the_right_to_replay(
    migrator: Migrator, project: Project
) -> None:
    write_journal(project, "a1")
    assert answer(migrator, "schema.drift").verdict is Verdict.IMPOSSIBLE
    assert migrator().exit_code == 0
    found = answer(migrator, "schema.drift")
    assert found.verdict is Verdict.IMPOSSIBLE
    assert "CREATEDB" in found.remedy


MODELS = """
import sqlalchemy as sa
target_metadata = sa.MetaData()
sa.Table(
    "notes", target_metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("words", sa.Text){more}
)
"""


def write_models(project: Project, more: str = "") -> None:
    project.write_env(ENV.replace("target_metadata = None", MODELS.format(more=more)))


@pytest.mark.usefixtures("any_cluster")
def test_what_the_models_have_and_the_database_lacks_is_a_warning(
    migrator: Migrator, project: Project, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_models(project)
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE notes (id int PRIMARY KEY, words text)')")
    assert answer(migrator, "schema.models").verdict is Verdict.IMPOSSIBLE, "nothing is there to compare with"
    assert migrator().exit_code == 0
    assert answer(migrator, "schema.models").verdict is PASS
    write_models(project, ', sa.Column("at", sa.DateTime)')
    found = answer(migrator, "schema.models")
    assert (found.verdict, found.seen) == (WARN, "to be what the models say: add column notes.at")
    assert "--autogenerate" in found.remedy
    target.execute("ALTER TABLE notes ADD at timestamp")
    assert answer(migrator, "schema.models").verdict is PASS


def test_of_a_project_without_models_nothing_is_asked(
    migrator: Migrator, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    write_journal(project, "a1")
    assert migrator().exit_code == 0
    found = answer(migrator, "schema.models")
    assert (found.verdict, found.seen) == (PASS, "env.py names no models (target_metadata)")
