"""No secret appears in anything we write, say or pass on as an argument."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql

from tests.support.journal import journal, write_journal
from tests.support.processes import process_list
from tests.support.project import Project
from tests.support.pushgateway import Pushgateway
from tests.support.runner import Migrator
from tests.support.target import Target

AWKWARD = "p%40s:s/w#?rd"
# As people paste it, and as it should be written; what the server calls the password differs.
SPELLINGS = {"pasted": (AWKWARD, "p@s:s/w#?rd"), "encoded": (quote(AWKWARD, safe=""), AWKWARD)}

LEAKY = """
import os, sys
url = os.environ["DATABASE_URL"]
print("connecting to", url, os.environ["PGPASSWORD"])
print(op.get_context().config.get_main_option("sqlalchemy.url"), file=sys.stderr)
print("password=" + os.environ["PGPASSWORD"], repr(os.environ["PGPASSWORD"]), [url])
"""


def spellings(password: str) -> set[str]:
    """Give the ways in which a password can appear."""
    once = quote(password, safe="")
    return {
        password,
        once,
        quote(password),
        once.replace("%", "%%"),
        password.replace("%", "%%"),
        quote(once, safe=""),
    }


@pytest.fixture(params=SPELLINGS)
def url(request: pytest.FixtureRequest, target: Target) -> tuple[str, str]:
    """The target's URL with an awkward password, and the password as the server knows it."""
    written, password = SPELLINGS[request.param]
    with target.admin() as session:
        session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(target.user), sql.Literal(password))
        )
    return f"postgresql://{target.user}:{written}@{target.host}:{target.port}/{target.database}", password


@pytest.mark.parametrize(
    "ending",
    ["pass", "raise RuntimeError(url)", "op.execute(\"SELECT '\" + url.replace(':', '') + \"' / 0\")"],
)
def test_the_password_is_nowhere(
    migrator: Migrator,
    project: Project,
    target: Target,
    url: tuple[str, str],
    tmp_path: Path,
    pushgateway: Pushgateway,
    ending: str,
) -> None:
    address, password = url
    write_journal(project, "a1")
    log = tmp_path / "termination"
    told: dict[str, Any] = {
        "DATABASE_URL": address,
        "MIGRATOR_TERMINATION_LOG": str(log),
        "MIGRATOR_PUSHGATEWAY_URL": pushgateway.url,
        "MIGRATOR_LOG_LEVEL": "debug",
    }
    assert migrator(**told).exit_code == 0
    project.write_revision("b2", upgrade=f"{LEAKY}\n{ending}")
    with process_list() as seen:
        result = migrator(**told)
    assert result.exit_code == (0 if ending == "pass" else 14), result.last
    assert result.named("output.captured")
    assert any("pg_dump" in line for line in seen)
    assert any("worker/main.py" in line for line in seen)
    with target.admin() as session:
        ledger = session.execute("SELECT r::text FROM migrator.run r").fetchall()
        activity = session.execute("SELECT s::text FROM pg_stat_activity s").fetchall()
    manifest = next(migrator.backups.rglob("*.manifest.json"))
    places = {
        "events": result.stdout,
        "standard error": result.stderr,
        "processes": "\n".join(seen),
        "termination log": log.read_text(),
        "manifest": manifest.read_text(),
        "names of files": "\n".join(map(str, tmp_path.rglob("*"))),
        "metrics": str(pushgateway.groups()),
        "ledger": str(ledger),
        "activity": str(activity),
    }
    # A URL with a raw secret may also be cut at the characters that end it for a careless reader.
    secrets = spellings(password) | spellings(AWKWARD)
    found = [(place, secret) for place, text in places.items() for secret in secrets if secret in text]
    assert found == []
    written = [path for path in migrator.backups.rglob("*") if path.is_file()]
    assert [path for path in written if any(one.encode() in path.read_bytes() for one in secrets)] == []
    assert [oct(path.stat().st_mode & 0o777) for path in written] == ["0o600"] * len(written)


def test_the_awkward_password_works_for_every_driver(
    migrator: Migrator, project: Project, target: Target, url: tuple[str, str]
) -> None:
    for number, driver in enumerate(["psycopg", "psycopg2"]):
        write_journal(project, f"r{number}", begins=number == 0)
        result = migrator(
            DATABASE_URL=url[0].replace("postgresql:", f"postgresql+{driver}:"), MIGRATOR_BACKUP="off"
        )
        assert result.exit_code == 0, result.last
    with target.admin() as session:
        assert session.execute("SELECT count(*) FROM journal").fetchone() == (2,)


def test_a_refused_password_is_not_quoted(migrator: Migrator, project: Project, target: Target) -> None:
    write_journal(project, "a1")
    address = f"postgresql://{target.user}:{AWKWARD}@{target.host}:{target.port}/{target.database}"
    result = migrator(DATABASE_URL=address, MIGRATOR_WAIT_TIMEOUT="500ms")
    assert result.exit_code == 16
    assert not [
        one for one in spellings(AWKWARD) | spellings("p@s:s/w#?rd") if one in result.stdout + result.stderr
    ]


def test_a_url_that_cannot_be_read_is_not_quoted(migrator: Migrator, tmp_path: Path) -> None:
    log = tmp_path / "termination"
    for address in (
        f"mysql://root:{AWKWARD}@db/shop",
        f"postgresql://root:{AWKWARD}@db:port/shop",
        f"root:{AWKWARD}",
    ):
        result = migrator(DATABASE_URL=address, MIGRATOR_TERMINATION_LOG=str(log))
        assert result.exit_code == 10
        said = result.stdout + result.stderr + log.read_text()
        assert not [one for one in spellings(AWKWARD) if one in said]


def test_a_password_on_the_command_line_is_refused(migrator: Migrator) -> None:
    result = migrator("run", "--database-url", f"postgresql://root:{AWKWARD}@db/shop")
    assert result.exit_code == 10
    assert "process list" in result.last["error"]
    assert AWKWARD not in result.stdout + result.stderr


def test_the_password_of_the_gateway_is_not_told(
    migrator: Migrator, project: Project, target: Target
) -> None:
    write_journal(project, "a1")
    result = migrator(MIGRATOR_PUSHGATEWAY_URL=f"http://pusher:{quote(AWKWARD, safe='')}@127.0.0.1:9/")
    assert result.exit_code == 0
    assert result.named("metrics.failed")
    assert not [one for one in spellings(AWKWARD) if one in result.stdout + result.stderr]
    assert journal(target) == ["a1"]
