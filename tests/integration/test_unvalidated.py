"""Constraints that are NOT VALID: which are told, and that the remedy validates them."""

from collections.abc import Iterator

import pytest

from migrator.postgres.session import Connector, Session
from migrator.postgres.unvalidated import UnvalidatedConstraint, unvalidated_constraints
from tests.support.target import Target

pytestmark = pytest.mark.postgres()

ADD = "ADD CONSTRAINT positive CHECK (i > 0) NOT VALID"


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


def test_those_of_tables_are_named_and_validated_by_their_remedy(target: Target, session: Session) -> None:
    target.execute(
        f'CREATE TABLE "Book" (i int); ALTER TABLE "Book" {ADD}; CREATE TABLE fine (i int CHECK (i > 0))'
    )
    (one,) = unvalidated_constraints(session)
    assert one == UnvalidatedConstraint("public", "positive", "Book")
    assert str(one) == "positive on public.Book"
    target.execute(one.validate_statement)
    assert unvalidated_constraints(session) == frozenset()


def test_those_of_domains_are_too(target: Target, session: Session) -> None:
    target.execute(
        "CREATE DOMAIN price AS int; ALTER DOMAIN price ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID"
    )
    (one,) = unvalidated_constraints(session)
    assert one == UnvalidatedConstraint("public", "positive", "price", is_domains=True)
    target.execute(one.validate_statement)
    assert unvalidated_constraints(session) == frozenset()


def test_what_partitions_and_children_inherit_is_told_once(target: Target, session: Session) -> None:
    target.execute(
        "CREATE TABLE whole (i int) PARTITION BY LIST (i);"
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);"
        "CREATE TABLE parent (i int); CREATE TABLE child () INHERITS (parent);"
        f"ALTER TABLE whole {ADD}; ALTER TABLE parent {ADD}"
    )
    found = unvalidated_constraints(session)
    assert {one.table for one in found} == {"whole", "parent"}
    for one in found:
        target.execute(one.validate_statement)
    assert unvalidated_constraints(session) == frozenset()
    assert target.rows("SELECT 1 FROM pg_constraint WHERE NOT convalidated") == []


@pytest.mark.postgres(18)
def test_what_is_not_enforced_is_no_such_constraint(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (i int CONSTRAINT positive CHECK (i > 0) NOT ENFORCED)")
    assert target.rows("SELECT 1 FROM pg_constraint WHERE NOT convalidated") == [(1,)]
    assert unvalidated_constraints(session) == frozenset()


@pytest.mark.postgres(18)
def test_a_not_null_that_is_not_valid_is_one(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE book (i int); ALTER TABLE book ADD CONSTRAINT there NOT NULL i NOT VALID")
    assert {one.name for one in unvalidated_constraints(session)} == {"there"}
