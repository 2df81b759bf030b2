"""Alembic's autogenerate leaves the ledger alone, with either function that the documentation gives."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine

from migrator.ledger import Ledger
from migrator.postgres.session import Connector
from tests.support.target import Target

PAGE = Path(__file__).parents[2] / "docs" / "how-it-works.md"


def documented(name: str) -> Callable[..., bool]:
    """Give the function of this name as the page defines it."""
    (text,) = re.findall(
        rf"```python\n(def {name}\(.*?)\n\n\ncontext\.configure", PAGE.read_text(), re.DOTALL
    )
    namespace: dict[str, Any] = {}
    exec(text, namespace)  # noqa: S102 - our own page
    function: Callable[..., bool] = namespace[name]
    return function


@pytest.fixture
def connection(target: Target, connector: Connector) -> Iterator[Connection]:
    """A session to a database with the ledger, a table of the project and one that the models lack."""
    with connector.open() as session:
        Ledger.open(session)
    target.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.book (id int PRIMARY KEY); CREATE TABLE shop.old ()"
    )
    engine = create_engine(urlsplit(target.url)._replace(scheme="postgresql+psycopg").geturl())
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def models() -> MetaData:
    metadata = MetaData()
    Table("book", metadata, Column("id", Integer, primary_key=True), Column("name", Text), schema="shop")
    return metadata


def proposed(connection: Connection, models: MetaData, **options: Any) -> set[tuple[str, ...]]:
    """Give what a revision would do, with the schema it would do it to."""
    context = MigrationContext.configure(connection, opts={"include_schemas": True, **options})
    found: set[tuple[str, ...]] = set()
    for one in compare_metadata(context, models):
        schema = one[1] if isinstance(one[1], str) else getattr(one[1], "schema", None)
        schema = schema or getattr(getattr(one[1], "table", None), "schema", None)
        found.add((one[0], str(schema)))
    return found


def test_without_them_it_would_drop_the_ledger(connection: Connection, models: MetaData) -> None:
    assert ("remove_table", "migrator") in proposed(connection, models)


@pytest.mark.parametrize("name", ["include_name", "include_object"])
def test_the_documented_function_leaves_the_ledger_out_and_nothing_else(
    connection: Connection, models: MetaData, name: str
) -> None:
    assert proposed(connection, models, **{name: documented(name)}) == {
        ("add_column", "shop"),
        ("remove_table", "shop"),
    }
