"""Drift: what the live schema is, beside what the revisions build up to the version it claims."""

import re

import pytest

from tests.support.environment import env_with
from tests.support.journal import version
from tests.support.project import Project
from tests.support.replay import (
    differences,
    let_make_databases,
    listed,
    plain_upgrade,
    scratch_databases,
    undoings,
    untouched,
)
from tests.support.runner import Migrator
from tests.support.target import Target

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE ticket;
CREATE TABLE shelf (id serial PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'none', mood mood, note text);
CREATE TABLE book (
    id int PRIMARY KEY, shelf_id int REFERENCES shelf, price int CONSTRAINT cheap CHECK (price < 9)
);
CREATE INDEX by_price ON book (price);
CREATE VIEW names AS SELECT note FROM shelf;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamped BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION stamp();
"""
# By what was changed by hand: what the one difference says, and what would undo it.
CHANGES = {
    "ALTER TABLE book DROP CONSTRAINT cheap": (
        "constraint public.book.cheap is missing",
        r"ADD CONSTRAINT cheap",
    ),
    "ALTER TABLE shelf ALTER name TYPE text": ("column public.shelf.name is text", r"ALTER COLUMN name TYPE"),
    "ALTER TABLE shelf ALTER name DROP NOT NULL": (
        "shelf.name may be NULL",
        r"ALTER COLUMN name SET NOT NULL",
    ),
    "ALTER TABLE shelf ALTER name SET DEFAULT 'x'": (
        "shelf.name has the default",
        r"ALTER COLUMN name SET DEFAULT",
    ),
    "ALTER TABLE shelf ADD extra int": ("column public.shelf.extra is here", r"DROP COLUMN extra"),
    "ALTER TABLE shelf DROP mood": ("column public.shelf.mood is missing", r"ADD COLUMN mood public.mood"),
    "DROP INDEX by_price": ("index public.by_price is missing", r"CREATE INDEX CONCURRENTLY by_price"),
    "CREATE INDEX mine ON shelf (name)": ("index public.mine is here", r"DROP INDEX public\.mine"),
    "ALTER TYPE mood ADD VALUE 'great'": ("enum public.mood", r"great|label"),
    "CREATE OR REPLACE VIEW names AS SELECT upper(note) AS note FROM shelf": (
        "view public.names",
        r"VIEW public\.names",
    ),
    "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'": (
        "function public.stamp()",
        r"FUNCTION public\.stamp",
    ),
    "DROP TRIGGER stamped ON book": ("trigger", r"CREATE TRIGGER stamped"),
    "ALTER SEQUENCE ticket INCREMENT 5": ("sequence public.ticket", r"ALTER SEQUENCE public\.ticket"),
    "DROP SEQUENCE ticket": ("sequence public.ticket is missing", r"CREATE SEQUENCE"),
    "DROP VIEW names": ("view public.names is missing", r"CREATE VIEW"),
    "DROP TABLE book": ("table public.book is missing", r"CREATE TABLE"),
}


@pytest.fixture
def shelf(project: Project, target: Target) -> Project:
    """A schema with a part of each usual kind; the target's owner may make databases."""
    let_make_databases(target)
    project.write_revision("a1", upgrade=f"op.execute({SCHEMA!r})")
    project.write_revision("b2", upgrade="op.execute('CREATE TABLE later (id int)')")
    return project


@pytest.fixture
def migrated(migrator: Migrator, shelf: Project, target: Target) -> Target:
    """The target at revision a1, of two."""
    del shelf
    result = migrator("run", MIGRATOR_TARGET="a1", MIGRATOR_BACKUP="off")
    assert result.exit_code == 0, result.last
    return target


@pytest.mark.usefixtures("any_cluster")
def test_a_schema_that_the_revisions_build_is_verified(migrator: Migrator, migrated: Target) -> None:
    migrated.execute("INSERT INTO shelf (name) VALUES ('poems'); COMMENT ON TABLE shelf IS 'ours'")
    with untouched(migrated):
        result = migrator("verify")
    assert result.exit_code == 0, result.last
    (event,) = result.named("schema.verified")
    assert event["heads"] == ["a1"]
    assert scratch_databases(migrated) == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: " ".join(change.split()[:5]))
def test_each_kind_of_drift_is_one_difference_with_what_undoes_it(
    migrator: Migrator, migrated: Target, change: str
) -> None:
    migrated.execute(change)
    result = migrator("verify")
    assert result.exit_code == 18, result.last
    (difference,), (undoing,) = differences(result), undoings(result)
    said, undone = CHANGES[change]
    assert said in difference
    assert re.search(undone, undoing), undoing
    assert difference in result.last["error"]


@pytest.mark.usefixtures("any_cluster")
def test_undoing_what_was_told_makes_the_schema_whole_again(migrator: Migrator, migrated: Target) -> None:
    migrated.execute(
        "ALTER TABLE shelf ADD extra int, ALTER mood SET NOT NULL; DROP INDEX by_price; "
        "ALTER TABLE book DROP CONSTRAINT cheap; CREATE INDEX mine ON shelf (name)"
    )
    result = migrator("verify")
    assert (result.exit_code, len(differences(result))) == (18, 5), result.last
    for undoing in undoings(result):
        migrated.execute(undoing)
    assert migrator("verify").exit_code == 0


def test_what_no_revision_makes_is_only_listed(migrator: Migrator, migrated: Target) -> None:
    migrated.execute("CREATE TABLE invoice (id int); CREATE VIEW two AS SELECT 2")
    result = migrator("verify")
    assert result.exit_code == 0, result.last
    assert sum("invoice" in one or "two" in one for one in listed(result)) == 2


def test_rows_this_release_does_not_know_are_left_to_another(migrator: Migrator, migrated: Target) -> None:
    migrated.execute("UPDATE alembic_version SET version_num = 'f00d'")
    result = migrator("verify")
    assert result.exit_code == 12, result.last
    assert "f00d" in result.last["error"]


@pytest.mark.usefixtures("shelf")
def test_without_a_version_there_is_nothing_to_compare_with(migrator: Migrator, target: Target) -> None:
    result = migrator("verify")
    assert result.exit_code == 12, result.last
    target.execute("CREATE TABLE shelf (id int)")
    unversioned = migrator("verify")
    assert unversioned.exit_code == 12, unversioned.last
    assert "adopt" in unversioned.last["remedy"]


def test_a_lying_stamp_is_found_out(migrator: Migrator, migrated: Target) -> None:
    migrated.execute("UPDATE alembic_version SET version_num = 'b2'")
    result = migrator("verify")
    assert result.exit_code == 18, result.last
    assert differences(result) == ["table public.later is missing here, the revisions build it"]


def test_several_heads_are_verified_together(migrator: Migrator, shelf: Project, target: Target) -> None:
    shelf.write_revision("x1", down=None, upgrade="op.execute('CREATE TABLE x (id int)')")
    plain_upgrade(shelf.folder, target, "heads")
    assert version(target) == ["b2", "x1"]
    result = migrator("verify", MIGRATOR_TARGET="heads")
    assert result.exit_code == 0, result.last
    target.execute("DROP TABLE x")
    assert migrator("verify", MIGRATOR_TARGET="heads").exit_code == 18


def test_a_version_table_in_a_schema_of_its_own_is_no_difference(
    migrator: Migrator, shelf: Project, target: Target
) -> None:
    target.execute("CREATE SCHEMA meta")
    shelf.write_env(env_with(options="version_table='steps', version_table_schema='meta'"))
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    result = migrator("verify")
    assert result.exit_code == 0, result.last


def test_each_tenant_is_verified(migrator: Migrator, shelf: Project, target: Target) -> None:
    target.execute("CREATE SCHEMA north; CREATE SCHEMA south")
    env = env_with(options="version_table_schema=tenant")
    env = env.replace("if context.is_offline_mode()", "tenant = ''\nif context.is_offline_mode()")
    env = env.replace(
        "    with connectable.connect() as connection:\n",
        "    for tenant in ('north', 'south'):\n      with connectable.connect() as connection:\n"
        "        connection.execute(sa.text(f'SET search_path TO {tenant}'))\n        connection.commit()\n",
    ).replace("from sqlalchemy import pool", "from sqlalchemy import pool\nimport sqlalchemy as sa")
    shelf.write_env(env)
    first = migrator("run", MIGRATOR_BACKUP="off")
    assert first.exit_code == 0, first.last
    clean = migrator("verify")
    assert clean.exit_code == 0, clean.last
    target.execute("ALTER TABLE south.shelf ADD extra int")
    drifted = migrator("verify")
    assert drifted.exit_code == 18, drifted.last
    assert differences(drifted) == ["column south.shelf.extra is here, the revisions do not build it"]


def test_a_leader_at_work_is_not_disturbed(migrator: Migrator, shelf: Project, migrated: Target) -> None:
    shelf.write_revision("c3", upgrade="op.execute('SELECT pg_sleep(6)')")
    leader = migrator.start("run", MIGRATOR_BACKUP="off")
    leader.wait_for_event("revision.started", revision="c3")
    result = migrator("verify")
    assert result.exit_code == 0, result.last
    assert not result.named("lock.acquired")
    assert not result.named("lock.waited")
    assert leader.finish().exit_code == 0
    assert version(migrated) == ["c3"]
