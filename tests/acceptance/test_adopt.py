"""An unversioned database: which revision it is at is proven by replay, and recorded when it is told to."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from migrator.demo.cluster import Cluster
from tests.support.journal import version
from tests.support.project import Project
from tests.support.replay import (
    copy_bookshop,
    differences,
    forget_version,
    let_make_databases,
    listed,
    plain_upgrade,
    scratch_databases,
    undoings,
    untouched,
)
from tests.support.runner import Migrator, Result
from tests.support.target import Target, target_on

# By revision, its parents, as the bookshop's history goes; then what builds the same schema, oldest first.
PARENTS = {
    "2dc4570f26c0": "",
    "098ab57abc2c": "2dc4570f26c0",
    "7bb30daa37a9": "098ab57abc2c",
    "795cf74a67a9": "7bb30daa37a9",
    "21bd395b9337": "795cf74a67a9",
    "0c6f865f7a54": "21bd395b9337",
    "1ebd90b4eb02": "0c6f865f7a54",
    "473b1b4d6fe6": "0c6f865f7a54",
    "0ef21ea07432": "1ebd90b4eb02",
    "7353f60110f6": "0ef21ea07432",
    "6ff5880738b9": "7353f60110f6",
    "3ed73ebaa79b": "6ff5880738b9",
    "b44b9cef8e6d": "3ed73ebaa79b",
    "62d8443a86d6": "b44b9cef8e6d",
    "01ba1b4cee74": "62d8443a86d6",
}
SAME_SCHEMA = (
    ("795cf74a67a9", "21bd395b9337", "0c6f865f7a54"),
    ("b44b9cef8e6d", "62d8443a86d6", "01ba1b4cee74"),
)


def matches_of(revision: str) -> list[str]:
    return next((list(same) for same in SAME_SCHEMA if revision in same), [revision])


def assert_proven(result: Result, revision: str) -> None:
    """See that `adopt` names the oldest revision that builds this one's schema, and lists the others."""
    assert result.exit_code == 0, result.last
    assert result.last["revision"] == matches_of(revision)[0]
    assert result.last["matches"] == matches_of(revision)
    for other in matches_of(revision)[1:]:
        assert other in result.last["message"]


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, as it is deployed."""
    return copy_bookshop(tmp_path_factory.mktemp("bookshop"))


@pytest.fixture(scope="module")
def shops(cluster: Cluster, bookshop: Path) -> Iterator[dict[str, Target]]:
    """A database at each of the bookshop's revisions, made by plain Alembic; CREATEDB is granted."""
    with target_on(cluster) as target:
        let_make_databases(target)
        found: dict[str, Target] = {}
        for revision, parent in PARENTS.items():
            before = found[parent] if parent else target
            found[revision] = _copy(before, f"{target.database}_{revision}")
            plain_upgrade(bookshop, found[revision], revision)
        for shop in found.values():
            forget_version(shop)
        yield found


def _copy(source: Target, name: str) -> Target:
    source.execute(f"CREATE DATABASE {name} TEMPLATE {source.database}")
    return dataclasses.replace(source, database=name)


@pytest.fixture
def at(migrator: Migrator, bookshop: Path) -> Callable[[Target], Migrator]:
    """Run migrator in the bookshop's folder against a given database."""

    def bound(target: Target) -> Migrator:
        environ = {**migrator.environ, "DATABASE_URL": target.url}
        return dataclasses.replace(migrator, folder=bookshop, environ=environ)

    return bound


@pytest.fixture
def owner(target: Target) -> Target:
    """The target, whose owner may make databases."""
    let_make_databases(target)
    return target


@pytest.fixture
def shelf(project: Project) -> Project:
    """Three revisions: two tables, then a column that one of them gets."""
    project.write_revision(
        "a1",
        upgrade="op.create_table('shelf', sa.Column('id', sa.Integer, primary_key=True), "
        "sa.Column('name', sa.String(40), nullable=False))",
        downgrade="op.drop_table('shelf')",
    )
    project.write_revision(
        "b2",
        upgrade="op.create_table('book', sa.Column('id', sa.Integer, primary_key=True), "
        "sa.Column('shelf_id', sa.Integer, sa.ForeignKey('shelf.id')))",
        downgrade="op.drop_table('book')",
    )
    project.write_revision(
        "c3",
        upgrade="op.add_column('book', sa.Column('title', sa.Text))",
        downgrade="op.drop_column('book', 'title')",
    )
    return project


@pytest.fixture
def unversioned(migrator: Migrator, shelf: Project, owner: Target) -> Target:
    """The target at revision b2 of the shelf, without a version, and with a row in it."""
    plain_upgrade(shelf.folder, owner, "b2")
    owner.execute("INSERT INTO shelf (name) VALUES ('poems')")
    forget_version(owner)
    del migrator
    return owner


@pytest.mark.timeout(600)
def test_adopt_names_the_revision_of_each_dump_of_the_bookshop(
    shops: dict[str, Target], at: Callable[[Target], Migrator]
) -> None:
    for revision, shop in shops.items():
        assert_proven(at(shop)("adopt"), revision)
    assert scratch_databases(next(iter(shops.values()))) == []


def test_a_column_changed_by_hand_is_the_one_difference_that_is_told(
    shops: dict[str, Target], at: Callable[[Target], Migrator]
) -> None:
    changed = _copy(shops["6ff5880738b9"], f"{shops['6ff5880738b9'].database}_changed")
    changed.execute("ALTER TABLE customers ALTER COLUMN email TYPE varchar(500)")
    result = at(changed)("adopt")
    assert result.exit_code == 12, result.last
    assert result.last["nearest"] == "6ff5880738b9"
    (difference,) = differences(result)
    assert "customers.email" in difference
    assert "character varying(500)" in difference
    (undoing,) = undoings(result)
    assert undoing.startswith("ALTER TABLE public.customers ALTER COLUMN email TYPE")
    assert [one["difference"] for one in result.last["differences"]] == [difference]
    assert "--at 6ff5880738b9 --accept-differences" in result.last["remedy"]


@pytest.mark.usefixtures("any_cluster")
def test_adopt_alone_writes_nothing(migrator: Migrator, unversioned: Target) -> None:
    with untouched(unversioned):
        result = migrator("adopt")
    assert (result.exit_code, result.last["revision"]) == (0, "b2"), result.last
    assert scratch_databases(unversioned) == []


@pytest.mark.usefixtures("any_cluster")
def test_what_is_stamped_is_proven_recorded_and_needs_nothing_more(
    migrator: Migrator, unversioned: Target
) -> None:
    result = migrator("adopt", "--stamp")
    assert (result.exit_code, result.last["revision"]) == (0, "b2"), result.last
    assert version(unversioned) == ["b2"]
    assert unversioned.rows("SELECT revision, differences FROM migrator.adoption") == [("b2", [])]
    again = migrator("run", MIGRATOR_TARGET="b2")
    assert (again.exit_code, again.last["outcome"]) == (0, "nothing to do"), again.last
    last = migrator()
    assert last.last["revisions_applied"] == ["c3"]
    assert unversioned.value("SELECT name FROM shelf") == "poems"


def test_a_chosen_revision_is_stamped_when_the_replay_proves_it(
    migrator: Migrator, unversioned: Target
) -> None:
    result = migrator("adopt", "--at", "b2")
    assert (result.exit_code, result.last["accepted"]) == (0, []), result.last
    assert version(unversioned) == ["b2"]


def test_of_revisions_that_change_data_only_a_person_may_choose_a_newer_one(
    migrator: Migrator, shelf: Project, owner: Target
) -> None:
    plain_upgrade(shelf.folder, owner, "c3")
    forget_version(owner)
    shelf.write_revision("d4", upgrade="op.execute('UPDATE shelf SET name = name')")
    said = migrator("adopt")
    assert (said.exit_code, said.last["revision"], said.last["matches"]) == (0, "c3", ["c3", "d4"]), said.last
    assert migrator("adopt", "--at", "d4").exit_code == 0
    assert version(owner) == ["d4"]


def test_a_chosen_revision_that_differs_is_not_stamped(migrator: Migrator, unversioned: Target) -> None:
    with untouched(unversioned):
        result = migrator("adopt", "--at", "c3")
    assert result.exit_code == 17, result.last
    assert "book.title" in result.last["error"]
    assert "--accept-differences" in result.last["remedy"]


def test_differences_that_are_accepted_are_recorded(migrator: Migrator, unversioned: Target) -> None:
    result = migrator("adopt", "--at", "c3", "--accept-differences")
    assert result.exit_code == 0, result.last
    assert version(unversioned) == ["c3"]
    ((revision, accepted),) = unversioned.rows("SELECT revision, differences FROM migrator.adoption")
    assert revision == "c3"
    assert accepted == result.last["accepted"]
    assert "book.title" in accepted[0]


def test_accepting_differences_needs_a_revision(migrator: Migrator, unversioned: Target) -> None:
    result = migrator("adopt", "--accept-differences")
    assert result.exit_code == 2, result.last
    assert "--at" in result.last["error"]
    assert version(unversioned) == []


@pytest.mark.parametrize("chosen", ["f00d", "head", "heads"])
def test_only_one_revision_of_this_release_can_be_chosen(
    migrator: Migrator, unversioned: Target, chosen: str
) -> None:
    result = migrator("adopt", "--at", chosen)
    assert result.exit_code == 17, result.last
    assert chosen in result.last["error"]
    assert version(unversioned) == []


def test_a_revision_beyond_the_target_cannot_be_chosen(migrator: Migrator, unversioned: Target) -> None:
    result = migrator("adopt", "--at", "c3", "--accept-differences", MIGRATOR_TARGET="b2")
    assert result.exit_code == 17, result.last
    assert version(unversioned) == []


def test_a_database_with_a_version_is_not_adopted(migrator: Migrator, shelf: Project, owner: Target) -> None:
    plain_upgrade(shelf.folder, owner, "b2")
    result = migrator("adopt", "--stamp")
    assert result.exit_code == 17, result.last
    assert "verify" in result.last["remedy"]
    assert version(owner) == ["b2"]


@pytest.mark.usefixtures("shelf")
def test_an_empty_database_is_not_adopted(migrator: Migrator, owner: Target) -> None:
    result = migrator("adopt", "--stamp")
    assert result.exit_code == 17, result.last
    assert "run" in result.last["remedy"]
    assert version(owner) == []


@pytest.mark.usefixtures("any_cluster")
def test_a_run_proves_backs_up_stamps_and_migrates_the_rest(migrator: Migrator, unversioned: Target) -> None:
    result = migrator()
    assert result.exit_code == 0, result.last
    assert result.last["revisions_applied"] == ["c3"]
    assert result.last["backup"]
    assert version(unversioned) == ["c3"]
    assert unversioned.rows("SELECT revision, differences FROM migrator.adoption") == [("b2", [])]
    assert unversioned.value("SELECT name FROM shelf") == "poems"
    assert scratch_databases(unversioned) == []


def test_a_run_that_proves_the_target_itself_only_stamps(migrator: Migrator, unversioned: Target) -> None:
    result = migrator(MIGRATOR_TARGET="b2")
    assert (result.exit_code, result.last["outcome"]) == (0, "nothing to do"), result.last
    assert version(unversioned) == ["b2"]


@pytest.mark.usefixtures("any_cluster")
def test_a_run_refuses_what_no_revision_builds_and_writes_nothing(
    migrator: Migrator, unversioned: Target
) -> None:
    unversioned.execute("ALTER TABLE book ADD COLUMN pages int; CREATE INDEX ON shelf (name)")
    with untouched(unversioned):
        result = migrator(MIGRATOR_LEDGER="off")
    assert result.exit_code == 12, result.last
    assert result.last["nearest"] == "b2"
    assert len(differences(result)) == 2
    assert undoings(result) == [
        "DROP INDEX public.shelf_name_idx",
        "ALTER TABLE public.book DROP COLUMN pages",
    ]
    assert not result.named("backup.started")


def test_a_run_that_may_not_prove_refuses(migrator: Migrator, unversioned: Target) -> None:
    with untouched(unversioned):
        result = migrator(MIGRATOR_ON_UNVERSIONED="refuse", MIGRATOR_LEDGER="off")
    assert result.exit_code == 12, result.last
    assert "migrator adopt" in result.last["remedy"]


@pytest.mark.parametrize("command", ["run", "adopt"])
def test_without_a_place_for_scratch_databases_both_remedies_are_named(
    migrator: Migrator, shelf: Project, target: Target, command: str
) -> None:
    plain_upgrade(shelf.folder, target, "b2")
    forget_version(target)
    with untouched(target):
        result = migrator(command, MIGRATOR_LEDGER="off")
    assert result.exit_code == 12, result.last
    assert "CREATEDB" in result.last["remedy"]
    assert "MIGRATOR_SCRATCH_DATABASE_URL" in result.last["remedy"]


def test_what_no_revision_makes_is_only_listed(migrator: Migrator, unversioned: Target) -> None:
    unversioned.execute(
        "CREATE TABLE invoice (id int PRIMARY KEY); CREATE VIEW names AS SELECT name FROM shelf"
    )
    unversioned.execute("CREATE SCHEMA other; CREATE TABLE other.book (id int)")
    result = migrator("adopt")
    assert (result.exit_code, result.last["revision"]) == (0, "b2"), result.last


def test_what_is_only_listed_is_told_when_nothing_matches(migrator: Migrator, unversioned: Target) -> None:
    unversioned.execute("CREATE TABLE invoice (id int); ALTER TABLE shelf ADD extra int")
    result = migrator("adopt")
    assert result.exit_code == 12, result.last
    assert [one for one in listed(result) if "invoice" in one]
    assert [one for one in differences(result) if "shelf.extra" in one]


def test_a_leftover_that_another_revision_makes_does_matter(
    migrator: Migrator, shelf: Project, owner: Target
) -> None:
    shelf.write_revision("d4", upgrade="op.execute('CREATE TABLE late (id int)')")
    shelf.write_revision("e5", upgrade="op.execute('DROP TABLE late; CREATE TABLE last (id int)')")
    plain_upgrade(shelf.folder, owner, "e5")
    owner.execute("CREATE TABLE late (id int)")
    forget_version(owner)
    result = migrator("adopt")
    assert (result.exit_code, result.last["nearest"]) == (12, "e5"), result.last
    assert differences(result) == ["table public.late is here, no revision makes it"]


def test_the_ledger_keeps_what_it_knew_of_other_histories(migrator: Migrator, unversioned: Target) -> None:
    assert migrator("adopt", "--stamp").exit_code == 0
    unversioned.execute("DROP TABLE alembic_version")
    again = migrator("adopt", "--stamp")
    assert again.exit_code == 0, again.last
    assert unversioned.value("SELECT count(*) FROM migrator.adoption") == 2


def test_a_history_that_needs_data_cannot_be_replayed_and_that_is_said(
    migrator: Migrator, shelf: Project, owner: Target
) -> None:
    plain_upgrade(shelf.folder, owner, "b2")
    owner.execute("INSERT INTO shelf (name) VALUES ('poems')")
    forget_version(owner)
    shelf.write_revision(
        "d4", upgrade="assert op.get_bind().execute(sa.text('SELECT name FROM shelf')).scalar_one()"
    )
    with untouched(owner):
        result = migrator("adopt")
    assert result.exit_code == 12, result.last
    assert "d4" in result.last["error"]
    assert "cannot be replayed" in result.last["error"]
    assert scratch_databases(owner) == []


def test_a_history_whose_first_tables_come_from_elsewhere_is_said_to_be_so(
    migrator: Migrator, project: Project, owner: Target
) -> None:
    owner.execute("CREATE TABLE shelf (id int)")
    project.write_revision("a1", upgrade="op.add_column('shelf', sa.Column('name', sa.Text))")
    owner.execute("ALTER TABLE shelf ADD name text")
    with untouched(owner):
        result = migrator("adopt")
    assert result.exit_code == 12, result.last
    assert "elsewhere" in result.last["remedy"]
    assert migrator("adopt", "--at", "a1").exit_code == 12
    accepted = migrator("adopt", "--at", "a1", "--accept-differences")
    assert accepted.exit_code == 0, accepted.last
    assert "on your word alone" in accepted.last["message"]
    assert version(owner) == ["a1"]
    ((proven, differences),) = owner.rows("SELECT proven, differences FROM migrator.adoption")
    assert not proven
    assert "cannot be replayed" in differences[0]


def test_without_createdb_a_persons_word_is_enough(
    migrator: Migrator, project: Project, owner: Target
) -> None:
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE shelf (id int)')")
    owner.execute("CREATE TABLE shelf (id int)")
    with owner.admin() as admin:
        admin.execute(f'ALTER ROLE "{owner.user}" NOCREATEDB')
    assert migrator("adopt", "--at", "a1").exit_code == 12
    assert migrator("adopt", "--at", "a1", "--accept-differences").exit_code == 0
    assert version(owner) == ["a1"]


@pytest.fixture
def two_heads(project: Project) -> Project:
    """One table, and two branches that each add a column to it."""
    project.write_revision("a1", upgrade="op.execute('CREATE TABLE shelf (id int)')")
    project.write_revision("b2", down="a1", upgrade="op.execute('ALTER TABLE shelf ADD b int')")
    project.write_revision("c3", down="a1", upgrade="op.execute('ALTER TABLE shelf ADD c int')")
    return project


@pytest.mark.parametrize(
    ("built", "proven"),
    [
        (["a1"], ["a1"]),
        (["b2"], ["b2"]),
        (["c3"], ["c3"]),
        (["b2", "c3"], ["b2", "c3"]),
        (["c3", "b2"], ["b2", "c3"]),
    ],
    ids=["before them", "one", "the other", "both", "both the other way round"],
)
def test_with_several_heads_the_database_may_be_at_any_or_at_all(
    migrator: Migrator, two_heads: Project, owner: Target, built: list[str], proven: list[str]
) -> None:
    for revision in built:
        plain_upgrade(two_heads.folder, owner, revision)
    forget_version(owner)
    result = migrator("adopt", MIGRATOR_TARGET="heads")
    assert (result.exit_code, result.last["revision"]) == (0, ", ".join(proven)), result.last
    stamped = migrator(MIGRATOR_TARGET="heads")
    assert stamped.exit_code == 0, stamped.last
    assert version(owner) == ["b2", "c3"]
    verified = migrator("verify", MIGRATOR_TARGET="heads")
    assert verified.exit_code == 0, verified.last


def test_on_one_line_the_order_of_columns_does_matter(migrator: Migrator, unversioned: Target) -> None:
    unversioned.execute(
        "DROP TABLE book; CREATE TABLE book (shelf_id int REFERENCES shelf, id serial PRIMARY KEY)"
    )
    result = migrator("adopt")
    assert result.exit_code == 12, result.last
    assert [one for one in differences(result) if "another order" in one]


def test_several_heads_can_be_chosen_at_once(migrator: Migrator, two_heads: Project, owner: Target) -> None:
    plain_upgrade(two_heads.folder, owner, "heads")
    forget_version(owner)
    result = migrator("adopt", "--at", "b2,c3", MIGRATOR_TARGET="heads")
    assert result.exit_code == 0, result.last
    assert version(owner) == ["b2", "c3"]


CLUSTER_WIDE = {
    "a role": "CREATE ROLE {role}",
    "a role in a block": "DO $$ BEGIN CREATE ROLE {role}; END $$",
    "a role in a block below a comment": "-- once\nDO $$ BEGIN CREATE ROLE {role}; END $$",
    "a setting": "ALTER SYSTEM SET log_statement = 'all'",
    "a membership": "GRANT pg_monitor TO {owner}",
    "a database": "CREATE DATABASE {role}",
}


@pytest.mark.parametrize("statement", CLUSTER_WIDE.values(), ids=CLUSTER_WIDE)
def test_what_reaches_beyond_the_database_stops_the_proof(
    migrator: Migrator, shelf: Project, unversioned: Target, statement: str
) -> None:
    role = f"made_{unversioned.database}"
    text = statement.format(role=role, owner=unversioned.user)
    shelf.write_revision("d4", upgrade=f"op.execute({text!r})")
    with unversioned.admin() as session:
        session.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(unversioned.user)))
    with untouched(unversioned):
        result = migrator("adopt")
    assert result.exit_code == 12, result.last
    assert "d4" in result.last["error"]
    assert "whole server" in result.last["error"]
    assert unversioned.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", role) == 0
    assert unversioned.value("SELECT count(*) FROM pg_database WHERE datname = %s", role) == 0
    assert unversioned.value("SELECT count(*) FROM pg_file_settings WHERE name = 'log_statement'") == 0
    assert scratch_databases(unversioned) == []


@pytest.mark.usefixtures("unversioned")
def test_several_version_tables_cannot_be_proven(migrator: Migrator, shelf: Project) -> None:
    shelf.write_env(
        (shelf.folder / "migrations" / "env.py")
        .read_text()
        .replace(
            "    with connectable.connect() as connection:\n",
            "    for table in ('one', 'two'):\n     with connectable.connect() as connection:\n",
        )
        .replace("target_metadata=target_metadata\n        )", "version_table=table)")
    )
    result = migrator("adopt")
    assert result.exit_code == 12, result.last
