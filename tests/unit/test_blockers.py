"""A session that blocks, in one line."""

import pytest

from migrator.postgres.locks import Blocker


def blocker(**facts: object) -> Blocker:
    usual: dict[str, object] = {
        "pid": 7,
        "role": "app",
        "application": "web",
        "host": "10.0.0.3",
        "state": "active",
        "age_seconds": 12.4,
        "query": "SELECT 1",
        "holds": "AccessShareLock on orders",
    }
    return Blocker(**{**usual, **facts})  # type: ignore[arg-type]


def test_all_that_is_known_of_it_is_named() -> None:
    assert str(blocker(query="SELECT now()")) == (
        "web (pid 7, role app, host 10.0.0.3, active for 12 s, AccessShareLock on orders): SELECT now()"
    )


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("UPDATE a SET b = 'it''s secret' WHERE id = 42", "UPDATE a SET b = ? WHERE id = ?"),
        ("INSERT INTO a VALUES ('cut off in the mid", "INSERT INTO a VALUES (?"),
        (r"SELECT E'it\'s secret'", "SELECT E?"),
        ("SELECT $tag$secret$tag$, 1.5", "SELECT ?, ?"),
        ("SELECT table1.b FROM table1", "SELECT table1.b FROM table1"),
    ],
)
def test_its_query_is_told_without_the_values_in_it(query: str, shown: str) -> None:
    assert str(blocker(query=query)).endswith(f": {shown}")


def test_what_the_server_hides_is_said_to_be_hidden() -> None:
    hidden = blocker(state=None, age_seconds=None, host=None, query="<insufficient privilege>")
    assert str(hidden) == "web (pid 7, role app, hidden, AccessShareLock on orders)"
    assert hidden.is_hidden
