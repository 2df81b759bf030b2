"""Scratch databases: like their target in all that shapes a schema, named after it, and gone afterwards."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from migrator.clock import Stop
from migrator.errors import StateRefused
from migrator.postgres.scratch import (
    Likeness,
    drop_leftovers,
    likeness,
    scratch_database,
    scratch_prefix,
)
from migrator.postgres.session import Connector
from migrator.settings import Dsn
from tests.support.replay import let_make_databases, scratch_databases
from tests.support.target import Target, target_on

pytestmark = pytest.mark.postgres()

SHAPE = """
SELECT to_jsonb(d) - '{oid,datname,datdba,datfrozenxid,datminmxid,dattablespace,datacl}'::text[]
FROM pg_database d WHERE datname = current_database()
"""

OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"


@pytest.fixture
def owner(target: Target) -> Target:
    """The target, whose owner may make databases."""
    let_make_databases(target)
    return target


def connector_to(target: Target) -> Connector:
    return Connector(Dsn.parse(target.url), "migrator test", Stop())


def model(connector: Connector) -> tuple[str, Likeness]:
    with connector.reopen("the target") as session:
        return scratch_prefix(session), likeness(session)


@contextlib.contextmanager
def scratch_like(target: Target, told: list[str] | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Open a session to a scratch database like this target."""
    connector = connector_to(target)
    prefix, like = model(connector)
    messages = told if told is not None else []
    with scratch_database(connector, prefix, like, messages.append) as scratch:
        there = dataclasses.replace(target, database=str(scratch.dsn.database))
        with there.connect() as session:
            yield session


def value(session: psycopg.Connection[Any], query: str) -> Any:
    row = session.execute(query.encode()).fetchone()
    return row[0] if row else None


def made_before(target: Target, prefix: str, seconds: float) -> str:
    """Make a database whose name says that it was made so long ago."""
    name = f"{prefix}{int(time.time() - seconds)}_abcd1234"
    target.execute(f"CREATE DATABASE {name}")
    return name


def test_it_is_named_after_its_target_belongs_to_its_owner_and_goes_in_the_end(owner: Target) -> None:
    prefix, _ = model(connector_to(owner))
    with scratch_like(owner) as session:
        (name,) = scratch_databases(owner)
        assert name.startswith(prefix)
        assert value(session, "SELECT current_database()") == name
        assert value(
            session, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        )
        assert (
            value(session, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
        )
    assert scratch_databases(owner) == []


def test_it_goes_too_when_something_fails_or_a_session_is_left_open(owner: Target) -> None:
    left: list[psycopg.Connection[Any]] = []

    def fail() -> None:
        with scratch_like(owner):
            (name,) = scratch_databases(owner)
            left.append(dataclasses.replace(owner, database=name).connect())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert scratch_databases(owner) == []
    with left[0], pytest.raises(psycopg.OperationalError):
        left[0].execute("SELECT 1")


OPTIONS = (
    "LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'LATIN1'",
    "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LOCALE 'C' ENCODING 'UTF8'",
    "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C' ENCODING 'UTF8'",
    "LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES '&V << w <<< W' LOCALE 'C' ENCODING 'UTF8'",
    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C' ENCODING 'UTF8'",
)


def test_its_encoding_and_collation_are_the_targets(owner: Target) -> None:
    alike = 0
    for number, options in enumerate(OPTIONS):
        other = dataclasses.replace(owner, database=f"{owner.database}_{number}")
        with contextlib.suppress(psycopg.Error):  # an older server, or one without ICU, knows fewer
            owner.execute(f"CREATE DATABASE {other.database} TEMPLATE template0 {options}")
            with scratch_like(other) as session:
                assert value(session, SHAPE) == other.value(SHAPE)
            alike += 1
    assert alike >= 2


def test_what_the_database_sets_for_its_sessions_is_set_there_too(owner: Target) -> None:
    owner.execute(
        f"""ALTER DATABASE {owner.database} SET search_path = "$user", app, 'We ird', public;
        ALTER DATABASE {owner.database} SET timezone = 'Asia/Tokyo';"""
    )
    query = "SELECT concat_ws('|', current_setting('search_path'), current_setting('timezone'))"
    with scratch_like(owner) as session:
        assert value(session, query) == owner.value(query)


def test_schemas_are_there_and_our_own_is_not(owner: Target) -> None:
    owner.execute('CREATE SCHEMA app; CREATE SCHEMA "We "" ird"; CREATE SCHEMA migrator')
    query = (
        "SELECT array_agg(nspname ORDER BY nspname)::text[] FROM pg_namespace WHERE nspname !~ '^pg_|^info'"
    )
    with scratch_like(owner) as session:
        assert value(session, query) == ['We " ird', "app", "public"]


def test_a_missing_public_schema_is_missing_there_too(owner: Target) -> None:
    with owner.admin() as admin:
        admin.execute("DROP SCHEMA public")
    with scratch_like(owner) as session:
        assert value(session, "SELECT to_regnamespace('public')") is None


def test_without_the_right_nothing_is_made_and_both_remedies_are_named(target: Target) -> None:
    with pytest.raises(StateRefused) as caught, scratch_like(target):
        pass
    assert "CREATEDB" in (caught.value.remedy or "")
    assert "MIGRATOR_SCRATCH_DATABASE_URL" in (caught.value.remedy or "")


def test_a_database_of_another_owner_is_copied_by_a_role_that_only_may_connect(
    owner: Target, any_cluster: object
) -> None:
    del any_cluster
    with owner.admin() as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(sql.Identifier(owner.database)))
        with scratch_like(owner) as session:
            assert value(session, "SELECT current_user") == owner.user
            session.execute("CREATE TABLE a (id int)")
        admin.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                *map(sql.Identifier, (owner.database, owner.user))
            )
        )


def test_leftovers_are_dropped_unless_they_are_young_in_use_or_of_another_target(owner: Target) -> None:
    connector = connector_to(owner)
    prefix, _ = model(connector)
    old = made_before(owner, prefix, 3600)
    young = made_before(owner, prefix, 10)
    used = made_before(owner, prefix, 7200)
    foreign = made_before(owner, "migrator_scratch_000000000000_", 3600)
    odd = f"{prefix}backup"
    owner.execute(f"CREATE DATABASE {odd}")
    with dataclasses.replace(owner, database=used).connect():
        drop_leftovers(connector, prefix)
        assert set(scratch_databases(owner)) == {young, used, foreign, odd}
    assert old not in scratch_databases(owner)


def test_two_targets_of_one_server_have_names_of_their_own(owner: Target) -> None:
    with target_on(owner.cluster) as other:
        prefixes = {model(connector_to(one))[0] for one in (owner, other)}
    assert len(prefixes) == 2


def test_a_target_made_anew_under_its_old_name_is_another_one(owner: Target) -> None:
    other = dataclasses.replace(owner, database=f"{owner.database}_again")
    prefixes = set()
    for _ in range(2):
        owner.execute(f"CREATE DATABASE {other.database}")
        prefixes.add(model(connector_to(other))[0])
        owner.execute(f"DROP DATABASE {other.database}")
    assert len(prefixes) == 2
