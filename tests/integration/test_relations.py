"""How large tables are: estimates and sizes, and what is not known."""

from collections.abc import Iterator

import pytest

from migrator.postgres.relations import measure
from migrator.postgres.session import Connector, Session
from tests.support.target import Target

pytestmark = pytest.mark.postgres()


@pytest.fixture
def session(connector: Connector) -> Iterator[Session]:
    with connector.open() as session:
        yield session


def test_rows_are_the_planners_estimate_and_the_size_is_the_tables(target: Target, session: Session) -> None:
    target.execute('CREATE SCHEMA "S"; CREATE TABLE "S"."T" (id int); CREATE TABLE fresh (id int)')
    target.execute('INSERT INTO "S"."T" SELECT generate_series(1, 5000); ANALYZE "S"."T"')
    found = measure(session, [("S", "T"), (None, "fresh"), (None, "absent"), ("absent", "T")])
    assert sorted(found, key=str) == [("S", "T"), (None, "fresh")]
    table = found["S", "T"]
    assert (str(table), table.rows) == ("S.T", 5000)
    assert table.size_bytes == target.value('SELECT pg_table_size(\'"S"."T"\')')
    assert found[None, "fresh"].rows is None


def test_an_index_stands_for_its_table_and_a_parent_for_its_partitions(
    target: Target, session: Session
) -> None:
    target.execute(
        """
        CREATE TABLE parts (k int) PARTITION BY LIST (k);
        CREATE TABLE one PARTITION OF parts FOR VALUES IN (1);
        CREATE TABLE two PARTITION OF parts FOR VALUES IN (2) PARTITION BY LIST (k);
        CREATE TABLE three PARTITION OF two DEFAULT;
        CREATE INDEX ix ON one (k);
        INSERT INTO parts SELECT 1 + i % 2 FROM generate_series(1, 1000) i;
        ANALYZE parts; ANALYZE one; ANALYZE three;
        """
    )
    found = measure(session, [(None, "parts"), (None, "ix")])
    assert (found[None, "parts"].rows, found[None, "ix"].rows) == (1000, 500)
    assert found[None, "ix"].name == "one"
    assert (found[None, "parts"].size_bytes or 0) > (found[None, "ix"].size_bytes or 0) > 0


def test_nobody_is_waited_for(target: Target, session: Session) -> None:
    target.execute("CREATE TABLE busy (id int); ANALYZE busy; CREATE TABLE free (id int)")
    with target.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE busy")
        found = measure(session, [(None, "busy"), (None, "free")])
    assert found[None, "busy"].size_bytes is None
    assert found[None, "free"].size_bytes == 0


def test_what_stands_in_a_schema_we_may_not_use_is_not_found(target: Target, session: Session) -> None:
    with target.admin() as admin:
        admin.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int)")
    assert measure(session, [("hidden", "t")]) == {}
