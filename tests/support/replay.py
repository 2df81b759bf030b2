"""What tests of replays ask for: the right to make databases, a live one that is watched, a bookshop."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from tests.support.projects import dump
from tests.support.runner import REPOSITORY, Event, Result
from tests.support.target import Target

SCRATCH: Final = "SELECT datname FROM pg_database WHERE datname ^@ 'migrator_scratch_' ORDER BY 1"

# Counts also what is rolled back: a sequence does not take part in transactions.
_WATCH: Final = """
CREATE SEQUENCE public.touched;
GRANT SELECT ON SEQUENCE public.touched TO PUBLIC;
CREATE FUNCTION public.touch() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    AS 'BEGIN PERFORM nextval(''public.touched''); END';
CREATE EVENT TRIGGER {} ON ddl_command_start EXECUTE FUNCTION public.touch();
"""

_UPGRADE: Final = """
import sys
from alembic import command
from alembic.config import Config
config = Config("alembic.ini")
config.set_main_option("sqlalchemy.url", sys.argv[1].replace("%", "%%"))
command.upgrade(config, sys.argv[2])
"""


def let_make_databases(target: Target) -> None:
    """Give the owner what a replay on the same server needs."""
    with target.admin() as session:
        session.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(target.user)))


def forget_version(target: Target, table: str = "alembic_version") -> None:
    """Make the database unversioned: without version table, and without what we remember of it."""
    target.execute(f"DROP TABLE {table}; DROP SCHEMA IF EXISTS migrator CASCADE")


def scratch_databases(target: Target) -> list[str]:
    """Name the scratch databases that are there now and belong to the target's owner."""
    query = f"{SCRATCH.replace(' ORDER BY 1', '')} AND pg_get_userbyid(datdba) = current_user"
    return [name for (name,) in target.rows(query)]


@contextlib.contextmanager
def untouched(target: Target) -> Iterator[None]:
    """See that nothing of this database is changed meanwhile, and that no DDL is even tried."""
    trigger = sql.Identifier(f"watch_{target.database}")
    with target.admin() as session:
        session.execute(sql.SQL(_WATCH).format(trigger))
        before = dump(target)
        yield
        touched: Any = session.execute("SELECT is_called FROM public.touched").fetchone()
        after = dump(target)
        session.execute(sql.SQL("DROP EVENT TRIGGER {}").format(trigger))
        session.execute("DROP FUNCTION public.touch(); DROP SEQUENCE public.touched")
    assert not touched[0], "DDL was tried on the live database"
    assert after == before


def differences(result: Result) -> list[str]:
    """The differences that were told and that matter."""
    return [event["difference"] for event in _told(result) if event["level"] == "warning"]


def listed(result: Result) -> list[str]:
    """What was only listed: no revision makes it."""
    return [event["difference"] for event in _told(result) if event["level"] == "info"]


def undoings(result: Result) -> list[str]:
    """What would undo each of the differences."""
    return [event["undo"] for event in _told(result) if event["level"] == "warning"]


def _told(result: Result) -> list[Event]:
    return [event for event in result.named("difference.found") if "difference" in event]


def copy_bookshop(folder: Path) -> Path:
    """Copy the example into this folder, less the three seconds for which it only sleeps."""
    shutil.copytree(
        REPOSITORY / "examples" / "bookshop",
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (slow,) = (folder / "migrations" / "versions").glob("*recompute_ratings.py")
    slow.write_text(slow.read_text().replace("pg_sleep(3)", "pg_sleep(0)"))
    return folder


def plain_upgrade(folder: Path, target: Target, revision: str) -> None:
    """Have Alembic itself upgrade this database, as it was before migrator came."""
    url = target.url.replace("postgresql:", "postgresql+psycopg:", 1)
    done = subprocess.run(
        [sys.executable, "-c", _UPGRADE, url, revision],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
