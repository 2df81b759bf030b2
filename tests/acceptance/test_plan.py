"""What a run would do, told without doing any of it."""

import json
from typing import Any

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import journal, version, write_journal
from tests.support.project import Project
from tests.support.replay import plain_upgrade, untouched
from tests.support.runner import Migrator, Result
from tests.support.target import Target

COMPUTED = "table = ''.join(['alembic', '_', 'version_two'])"


@pytest.fixture
def facts(migrator: Migrator) -> Migrator:
    """Run a command that prints facts."""
    return Migrator(
        migrator.folder,
        {**migrator.environ, "MIGRATOR_LOG_FORMAT": "text", "MIGRATOR_BACKUP_URL": ""},
        migrator.backups,
    )


def document(result: Result) -> dict[str, Any]:
    """See exit 0, and give what was printed as JSON."""
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("any_cluster")
def test_the_pending_revisions_are_told_oldest_first(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1", "b2", "c3")
    plain_upgrade(project.folder, target, "a1")
    with untouched(target):
        told = document(facts("plan", "--json"))
        text = facts("plan")
    assert [one["revision"] for one in told["pending"]] == ["b2", "c3"]
    assert (told["state"], told["heads"], told["targets"]) == ("pending", ["a1"], ["c3"])
    assert told["pending"][0]["down_revision"] == ["a1"]
    assert told["pending"][0]["message"] == "Revision b2"
    assert told["pending"][0]["file"].endswith("b2_.py")
    assert "sql" not in told["pending"][0]
    assert text.exit_code == 0
    assert text.stdout.startswith("2 revisions to apply")
    assert text.stdout.splitlines()[1::3] == ["  b2  Revision b2", "  c3  Revision c3"]
    assert "      file: migrations/versions/b2_.py\n      transactional: yes" in text.stdout


def test_nothing_pending_is_said(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    result = facts("plan", "--sql")
    assert result.exit_code == 0, result.stderr
    assert "Nothing to apply" in result.stdout
    assert document(facts("plan", "--json"))["pending"] == []


@pytest.mark.usefixtures("target")
def test_an_empty_database_gets_everything(facts: Migrator, project: Project) -> None:
    write_journal(project, "a1", "b2")
    told = document(facts("plan", "--json"))
    assert (told["state"], [one["revision"] for one in told["pending"]]) == ("fresh", ["a1", "b2"])


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_the_sql_is_what_would_be_run_and_nothing_is(
    facts: Migrator, project: Project, target: Target, driver: str
) -> None:
    if driver == "asyncpg":
        project.write_env(ASYNC_ENV)
    write_journal(project, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            op.create_table('rate', sa.Column('share', sa.Text, server_default='5%'))
            op.execute("COMMENT ON TABLE rate IS '100%% of 5%'")
            op.bulk_insert(sa.table('rate', sa.column('share', sa.Text)), [{'share': '7%'}])
            """,
    )
    plain_upgrade(project.folder, target, "a1")
    url = target.url.replace("postgresql:", f"postgresql+{driver}:", 1)
    with untouched(target):
        told = document(facts("plan", "--sql", "--json", DATABASE_URL=url))
        text = facts("plan", "--sql", DATABASE_URL=url)
    (entry,) = told["pending"]
    assert "CREATE TABLE rate" in entry["sql"]
    assert "DEFAULT '5%'" in entry["sql"]
    assert "'100%% of 5%'" in entry["sql"]
    assert "'7%'" in entry["sql"]
    assert "UPDATE alembic_version SET version_num='b2'" in entry["sql"]
    assert "sql_ends_at" not in told
    assert entry["sql"] in text.stdout


def test_a_revision_that_needs_data_ends_the_sql_and_says_so(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    project.write_revision(
        "b2", upgrade="assert op.get_bind().execute(sa.text('SELECT revision FROM journal')).fetchall()"
    )
    project.write_revision("c3", upgrade="op.execute('CREATE TABLE c (id int)')")
    with untouched(target):
        told = document(facts("plan", "--sql", "--json"))
        text = facts("plan", "--sql")
    assert told["sql_ends_at"]["revision"] == "b2"
    first, second, third = told["pending"]
    assert "CREATE TABLE journal" in first["sql"]
    assert (second["sql"], third["sql"]) == (None, None)
    assert text.exit_code == 0, text.stderr
    assert "cannot be told without running it" in text.stdout
    assert "it comes after one that cannot be told" in text.stdout


def test_a_revision_that_opens_a_session_of_its_own_cannot_write(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    project.write_revision(
        "b2",
        header="import os",
        upgrade="""
            engine = sa.create_engine(os.environ['DATABASE_URL'].replace('sql:', 'sql+psycopg:'))
            with engine.begin() as own:
                own.execute(sa.text("INSERT INTO journal (revision) VALUES ('mine')"))
            """,
    )
    with untouched(target):
        told = document(facts("plan", "--sql", "--json"))
    assert told["sql_ends_at"]["revision"] == "b2"
    assert journal(target) == ["a1"]


def test_an_env_py_that_writes_is_kept_from_it(facts: Migrator, project: Project, target: Target) -> None:
    project.write_env(
        env_with(
            header=f"import sqlalchemy as sa\n{COMPUTED}",
            before="connection.execute(sa.text('CREATE TABLE mine (id int)'))\nconnection.commit()",
            options="version_table=table",
        )
    )
    write_journal(project, "a1")
    with untouched(target):
        result = facts("plan")
    assert result.exit_code == 11, result.stderr
    assert "MIGRATOR_VERSION_TABLE" in result.stderr
    named = facts("plan", MIGRATOR_VERSION_TABLE="alembic_version_two")
    assert named.exit_code == 0, named.stderr


def test_a_state_that_is_refused_is_refused_here_too(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute("UPDATE alembic_version SET version_num = 'f00d'")
    result = facts("plan")
    assert result.exit_code == 12, result.stderr
    assert "f00d" in result.stderr
    assert facts("plan", MIGRATOR_ON_AHEAD="allow-unproven").exit_code == 0


def test_an_unversioned_database_is_left_to_adopt(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    target.execute("CREATE TABLE journal (revision text)")
    result = facts("plan", "--sql")
    assert result.exit_code == 0, result.stderr
    assert "migrator adopt" in result.stdout
    assert document(facts("plan", "--json"))["state"] == "unversioned"


def test_a_version_table_that_only_env_py_knows_is_found_while_a_leader_works(
    migrator: Migrator, facts: Migrator, project: Project, target: Target
) -> None:
    project.write_env(env_with(header=COMPUTED, options="version_table=table"))
    write_journal(project, "a1")
    assert migrator(MIGRATOR_LEDGER="off").exit_code == 0
    project.write_revision("b2", upgrade="op.execute('SELECT pg_sleep(8)')")
    leader = migrator.start("run", MIGRATOR_BACKUP="off", MIGRATOR_LEDGER="off")
    leader.wait_for_event("revision.started", revision="b2")
    told = document(facts("plan", "--json"))
    assert leader.is_alive
    assert [one["revision"] for one in told["pending"]] == ["b2"]
    assert leader.finish().exit_code == 0
    assert version(target, "alembic_version_two") == ["b2"]


def test_no_password_is_shown_with_the_sql(facts: Migrator, project: Project, target: Target) -> None:
    project.write_revision(
        "a1",
        header="import os",
        upgrade="op.execute(f\"COMMENT ON SCHEMA public IS '{os.environ['SECRET']}'\")",
    )
    for form in ([], ["--json"]):
        result = facts("plan", "--sql", *form, SECRET=target.password)
        assert result.exit_code == 0, result.stderr
        assert target.password not in result.stdout + result.stderr
        assert json.dumps(target.password) not in result.stdout


def hazards(told: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Every hazard of a plan: its id, its table, and whether it is certain."""
    return [
        (hazard["hazard"], hazard["table"], hazard["is_certain"])
        for one in told["pending"]
        for statement in one["statements"]
        for hazard in statement["hazards"]
    ]


@pytest.mark.usefixtures("any_cluster")
def test_each_statement_tells_its_lock_the_size_it_meets_and_how_it_may_hurt(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute(
        """
        CREATE TABLE big (id int, price int) WITH (autovacuum_enabled = off);
        INSERT INTO big SELECT i, i FROM generate_series(1, 1200000) i;
        ANALYZE big;
        CREATE INDEX ix_price ON big (price);
        """
    )
    project.write_revision(
        "b2",
        upgrade="""
            op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True))
            op.create_index('ix_shelf', 'shelf', ['id'])
            op.alter_column('big', 'price', nullable=False)
            op.alter_column('journal', 'revision', nullable=False)
            op.drop_index('ix_price', 'big')
            op.drop_column('journal', 'at')
            op.execute("DO 'BEGIN END'")
            """,
    )
    with untouched(target):
        told = document(facts("plan", "--sql", "--json"))
        text = facts("plan", "--sql").stdout
    assert hazards(told) == [
        ("set-not-null", "public.big", True),
        ("drop-column", "public.journal", True),
    ]
    met = [lock for one in told["pending"][0]["statements"] for lock in one["locks"]]
    assert [(one["mode"], one["table"], one["made_by_this_plan"]) for one in met] == [
        ("SHARE", "shelf", True),
        ("ACCESS EXCLUSIVE", "public.big", False),
        ("ACCESS EXCLUSIVE", "public.journal", False),
        ("ACCESS EXCLUSIVE", "public.big", False),
        ("ACCESS EXCLUSIVE", "public.journal", False),
        ("ROW EXCLUSIVE", "public.alembic_version", False),
    ]
    assert met[1]["estimated_rows"] == 1200000
    assert met[1]["size_bytes"] > 40_000_000
    assert "ACCESS EXCLUSIVE on public.big (about 1,200,000 rows by estimate, 4" in text
    assert "hazard.found set-not-null on public.big: reads the whole table" in text
    assert "safe: ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID" in text
    assert "not known: it runs code" in text
    assert "on public.alembic_version" not in text
    assert all(not line or line.startswith("--") for line in text.partition("-- locks:")[2].splitlines())


def test_the_safe_way_has_no_hazard(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute(
        "CREATE TABLE big (id int); INSERT INTO big SELECT generate_series(1, 1100000); ANALYZE big"
    )
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE big ALTER id SET NOT NULL')")
    assert hazards(document(facts("plan", "--sql", "--json"))) == [("set-not-null", "public.big", True)]
    project.write_revision(
        "b2",
        down="a1",
        upgrade="op.execute('ALTER TABLE big ADD CONSTRAINT there CHECK (id IS NOT NULL) NOT VALID')",
    )
    project.write_revision("c3", upgrade="op.execute('ALTER TABLE big VALIDATE CONSTRAINT there')")
    assert hazards(document(facts("plan", "--sql", "--json"))) == []


def test_a_table_that_is_locked_is_not_waited_for(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    target.execute("CREATE TABLE busy (id int)")
    project.write_revision("b2", upgrade="op.execute('ALTER TABLE busy ALTER id SET NOT NULL')")
    with target.connect() as session, session.transaction():
        session.execute("LOCK TABLE busy")
        told = document(facts("plan", "--sql", "--json", timeout=30))
        text = facts("plan", "--sql").stdout
    assert hazards(told) == [("set-not-null", "public.busy", False)]
    assert "whether it is large is not known" in text


def test_what_is_not_there_is_said_to_be_not_known(facts: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    project.write_revision("b2", upgrade="op.execute('CREATE INDEX ON elsewhere.book (id)')")
    assert hazards(document(facts("plan", "--sql", "--json"))) == [
        ("index-not-concurrently", "elsewhere.book", False)
    ]
    assert "not found by this role: its size is not known" in facts("plan", "--sql").stdout


def test_a_revision_tells_its_authors_words_and_whether_it_commits_on_the_way(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    file = project.write_revision(
        "b2",
        upgrade="""
            with op.get_context().autocommit_block():
                op.create_index('ix', 'journal', ['revision'], postgresql_concurrently=True)
            """,
    )
    file.write_text(file.read_text().replace("Revision ID:", "Run it at night.\n\nRevision ID:"))
    project.write_revision("c3", upgrade="if revision: op.execute('SELECT 1')")
    first, second = document(facts("plan", "--sql", "--json"))["pending"]
    assert first["description"] == "Run it at night."
    assert first["transactional"] is False
    assert first["commits_by"].startswith("autocommit_block in line ")
    assert (first["sql_may_differ"], second["sql_may_differ"]) == (False, True)
    assert (second["transactional"], second["commits_by"]) == (True, None)
    text = facts("plan", "--sql").stdout
    assert "--     Run it at night." in text
    assert "transactional: no, autocommit_block in line" in text
    assert "what a run sends may depend on what it finds" in text
    assert "SHARE UPDATE EXCLUSIVE on public.journal" in text


def test_statements_that_are_alike_are_told_of_once(
    facts: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    plain_upgrade(project.folder, target, "a1")
    project.write_revision(
        "b2",
        upgrade="""
            rows = [{'revision': str(number)} for number in range(2000)]
            op.bulk_insert(sa.table('journal', sa.column('revision', sa.Text)), rows)
            """,
    )
    text = facts("plan", "--sql").stdout.partition("-- locks:")[2]
    assert "(and 1999 more like it)" in text
    assert text.count("ROW EXCLUSIVE on public.journal") == 1
