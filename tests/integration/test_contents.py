"""How many rows a change would take with it, whatever the role's own settings are."""

from migrator.postgres.contents import rows_in
from migrator.postgres.session import Connector
from tests.support.target import Target


def test_a_timeout_of_the_role_does_not_end_the_count(target: Target, connector: Connector) -> None:
    target.execute("CREATE TABLE a AS SELECT generate_series(1, 300000) AS n")
    with connector.reopen("the target") as session:
        session.rows("SET statement_timeout = '1ms'")
        assert rows_in(session, "public.a", "n") == 300_000


def test_rows_behind_a_policy_are_unknown_and_not_absent(target: Target, connector: Connector) -> None:
    target.execute(
        "CREATE TABLE a (n int); ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    )
    with connector.reopen("the target") as session:
        assert rows_in(session, "public.a") is None
