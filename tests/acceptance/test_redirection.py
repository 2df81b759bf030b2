"""A replay never reaches the live database, however the project says where that is."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.support.environment import ASYNC_ENV, env_with
from tests.support.journal import version
from tests.support.project import Project
from tests.support.projects import with_driver
from tests.support.replay import forget_version, let_make_databases, scratch_databases, untouched
from tests.support.runner import Migrator
from tests.support.target import Target

ENGINE = "create_engine({!r}, poolclass=pool.NullPool{})"
HEADER = "import os\nimport psycopg\nimport psycopg2.extensions\nfrom sqlalchemy import create_engine\n"

Connectable = Callable[[Target], str]


def hard_coded(driver: str, query: str = "", more: str = "") -> Connectable:
    return lambda target: ENGINE.format(with_driver(target, driver) + query, more)


def parts(target: Target) -> str:
    words = {
        "host": target.host,
        "port": target.port,
        "user": target.user,
        "password": target.password,
        "dbname": target.database,
    }
    return f"create_engine('postgresql+psycopg2://', connect_args={words!r})"


def two_hosts(target: Target) -> str:
    name = with_driver(target, "psycopg").replace(f"@{target.host}:{target.port}", "@")
    where = f"{target.host}:{target.port}"
    return ENGINE.format(f"{name}?host=127.0.0.1:1&host={where}&target_session_attrs=any", "")


REDIRECTED: dict[str, Connectable] = {
    "psycopg": hard_coded("psycopg"),
    "psycopg2": hard_coded("psycopg2"),
    "query": hard_coded("psycopg", "?sslmode=prefer&application_name=ours&connect_timeout=5"),
    "options in the query": hard_coded("psycopg2", "?options=-c%20statement_timeout%3D0"),
    "options as arguments": hard_coded(
        "psycopg", more=", connect_args={'options': '-c statement_timeout=0'}"
    ),
    "two hosts": two_hosts,
    "arguments alone": parts,
    "autocommit": hard_coded("psycopg", more=", isolation_level='AUTOCOMMIT'"),
}
CREATORS: dict[str, Connectable] = {
    "a creator with psycopg": lambda target: (
        f"create_engine('postgresql+psycopg://', creator=lambda: psycopg.connect({target.url!r}))"
    ),
    "a creator with psycopg2": lambda target: (
        f"create_engine('postgresql+psycopg2://', creator=lambda: psycopg2.connect({target.url!r}))"
    ),
    "a creator with words": lambda target: (
        f"create_engine('postgresql+psycopg://', creator=lambda: psycopg.connect(host={target.host!r}, port="
        f"{target.port}, user={target.user!r}, password={target.password!r}, dbname={target.database!r}))"
    ),
}
BELOW_THE_DRIVER = "create_engine('postgresql+psycopg2://', creator=lambda: psycopg2._psycopg._connect({!r}))"


def opens(session: str) -> str:
    """A revision's body that makes a table in a session of its own."""
    return f"own = {session}\nown.cursor().execute('CREATE TABLE own (id int)')\nown.commit()\nown.close()"


@pytest.fixture
def live(migrator: Migrator, project: Project, target: Target) -> Target:
    """The target, migrated by an env.py that uses what it is given; its owner may make databases."""
    let_make_databases(target)
    project.write_revision(
        "a1",
        upgrade="op.execute('CREATE TABLE shelf (id int)')\nop.execute('INSERT INTO shelf VALUES (1)')",
        downgrade="op.drop_table('shelf')",
    )
    assert migrator("run", MIGRATOR_BACKUP="off").exit_code == 0
    return target


def assert_proven(migrator: Migrator, live: Target) -> None:
    """See that all that replays works, and that nothing is written to the live database."""
    for command in ("verify", "check"):
        with untouched(live):
            result = migrator(command)
        assert result.exit_code == 0, (command, result.last)
    forget_version(live)
    with untouched(live):
        result = migrator("adopt")
    assert (result.exit_code, result.last["revision"]) == (0, "a1"), result.last
    assert live.value("SELECT count(*) FROM shelf") == 1
    assert scratch_databases(live) == []


@pytest.mark.parametrize("connectable", REDIRECTED.values(), ids=REDIRECTED)
def test_an_engine_for_the_live_database_is_led_to_the_scratch_one(
    migrator: Migrator, project: Project, live: Target, connectable: Connectable
) -> None:
    project.write_env(env_with(header=HEADER, connectable=connectable(live)))
    assert_proven(migrator, live)


@pytest.mark.parametrize("connectable", CREATORS.values(), ids=CREATORS)
def test_what_an_engine_does_not_open_itself_is_led_there_too(
    migrator: Migrator, project: Project, live: Target, connectable: Connectable
) -> None:
    project.write_env(env_with(header=HEADER, connectable=connectable(live)))
    assert_proven(migrator, live)


def test_what_cannot_be_redirected_is_refused_before_its_first_statement(
    migrator: Migrator, project: Project, live: Target
) -> None:
    project.write_env(env_with(header=HEADER, connectable=BELOW_THE_DRIVER.format(live.url)))
    for command in ("verify", "check"):
        with untouched(live):
            result = migrator(command)
        assert result.exit_code == 13, (command, result.last)
        assert live.database in result.last["error"]
        assert "creator" in result.last["remedy"]
    forget_version(live)
    with untouched(live):
        result = migrator(MIGRATOR_LEDGER="off")
    assert result.exit_code == 13, result.last
    assert version(live) == []


@pytest.mark.parametrize("query", ["", "?ssl=prefer", "?prepared_statement_cache_size=0"])
def test_asyncpg_is_led_there_too(migrator: Migrator, project: Project, live: Target, query: str) -> None:
    url = with_driver(live, "asyncpg") + query
    engine = f"create_async_engine({url!r}, poolclass=pool.NullPool)"
    env = ASYNC_ENV.replace("async_engine_from_config(", f"{engine}\n    ignored = dict(")
    project.write_env(env.replace("ext.asyncio import", "ext.asyncio import create_async_engine,"))
    assert_proven(migrator, live)


@pytest.mark.parametrize(
    "opened",
    [
        "psycopg.connect(os.environ['DATABASE_URL'])",
        "psycopg.connect(os.environ['SHOP_URL'])",
        "psycopg.connect('')",
        "psycopg2.connect(os.environ['DATABASE_URL'])",
        "psycopg2.connect('')",
        "psycopg.connect(host=os.environ['PGHOST'], dbname=os.environ['PGDATABASE'])",
    ],
)
def test_a_session_that_no_engine_opens_follows_its_variables(
    migrator: Migrator, project: Project, live: Target, opened: str
) -> None:
    project.write_revision(
        "b2",
        header=HEADER,
        upgrade=opens(opened),
        downgrade="op.drop_table('own')",
    )
    with untouched(live):
        result = migrator("check", SHOP_URL=live.url)
    assert result.exit_code == 0, result.last


SPLIT = "{}.connect(host=os.environ['DB_HOST'], port=os.environ['DB_PORT'], dbname=os.environ['DB_NAME'], \
user=os.environ['DB_USER'], password=os.environ['DB_PASSWORD'])"


@pytest.mark.parametrize(
    "opened",
    [
        SPLIT.format("psycopg"),
        SPLIT.format("psycopg2"),
        "psycopg.connect({url!r})",
        "psycopg.Connection.connect({url!r})",
        "psycopg2.connect({url!r})",
        "psycopg2.connect({url!r}, connection_factory=psycopg2.extensions.connection)",
    ],
)
def test_a_session_that_no_engine_opens_never_writes_to_the_live_database(
    migrator: Migrator, project: Project, live: Target, opened: str
) -> None:
    connect = opened.replace("{url!r}", repr(live.url))
    project.write_revision(
        "b2",
        header=HEADER,
        upgrade=opens(connect),
        downgrade="op.drop_table('own')",
    )
    variables = {
        "DB_HOST": live.host,
        "DB_PORT": str(live.port),
        "DB_NAME": live.database,
        "DB_USER": live.user,
        "DB_PASSWORD": live.password,
    }
    with untouched(live):
        result = dataclasses.replace(migrator, environ={**migrator.environ, **variables})("check")
    assert result.exit_code == 0, result.last
