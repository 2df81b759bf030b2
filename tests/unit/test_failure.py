"""What a worker's failure means: by SQLSTATE, by who refused, by where it happened."""

from typing import Any

import pytest

from migrator.errors import (
    AccessDenied,
    Blocked,
    InterruptedMidway,
    MigrationFailed,
    MigratorError,
    PolicyRefused,
    RevisionsInvalid,
    StateRefused,
)
from migrator.history.failure import Failure, judged


def failure(**facts: Any) -> Failure:
    return Failure(**{"message": "it broke", "revision": "a1", **facts})


@pytest.mark.parametrize(
    ("sqlstate", "error"),
    [
        ("55P03", Blocked),
        ("40P01", Blocked),
        ("08006", InterruptedMidway),
        ("08P01", InterruptedMidway),
        ("57P01", InterruptedMidway),
        ("57P02", InterruptedMidway),
        ("57P03", InterruptedMidway),
        ("53100", InterruptedMidway),
        ("53300", InterruptedMidway),
        ("58030", InterruptedMidway),
        ("40001", InterruptedMidway),
        ("28000", AccessDenied),
        ("28P01", AccessDenied),
        ("42501", AccessDenied),
        ("3D000", AccessDenied),
        ("57014", MigrationFailed),
        ("23505", MigrationFailed),
        ("42P07", MigrationFailed),
        ("42601", MigrationFailed),
        ("25P02", MigrationFailed),
        (None, MigrationFailed),
    ],
)
def test_the_servers_code_decides_the_class(sqlstate: str | None, error: type[MigratorError]) -> None:
    found = judged(failure(sqlstate=sqlstate))
    assert type(found) is error
    assert found.message.startswith("revision a1")
    assert sqlstate is None or sqlstate in found.message
    assert found.facts["sqlstate"] == sqlstate


@pytest.mark.parametrize("sqlstate", ["55P03", "40P01"])
def test_only_a_failure_to_get_a_lock_is_worth_another_attempt(sqlstate: str) -> None:
    assert failure(sqlstate=sqlstate).is_blocked
    assert not failure(sqlstate="57014").is_blocked
    assert not failure(sqlstate=None).is_blocked


def test_a_driver_that_lost_its_server_has_no_code() -> None:
    assert type(judged(failure(is_driver_error=True))) is InterruptedMidway
    assert type(judged(failure(is_driver_error=True, sqlstate="42601"))) is MigrationFailed


def test_a_session_that_was_never_had_is_env_pys_own_doing() -> None:
    unreached = failure(revision=None, is_driver_error=True, message="OperationalError: no route")
    found = judged(unreached, reached=False)
    assert type(found) is PolicyRefused
    assert "no route" in found.message
    assert "let env.py use the URL it is given" in found.remedy
    assert type(judged(unreached, reached=True)) is InterruptedMidway


@pytest.mark.parametrize(
    "said",
    [
        "sorry, too many clients already",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "too many connections for role",
        "the database system is shutting down",
    ],
)
def test_a_server_that_has_no_room_now_may_have_it_later(said: str) -> None:
    busy = failure(revision=None, is_driver_error=True, message=f"OperationalError: FATAL: {said}")
    assert type(judged(busy, reached=False)) is InterruptedMidway


def test_who_blocked_is_named() -> None:
    blocked = judged(failure(sqlstate="55P03"), blockers=["report (pid 7)", "backup (pid 8)"], attempts=3)
    assert blocked.message.endswith("blocked by report (pid 7), backup (pid 8)")
    assert blocked.facts["attempts"] == 3
    unseen = judged(failure(sqlstate="55P03"))
    assert unseen.message.endswith("blocked by sessions that have ended meanwhile")


def test_a_failure_outside_every_revision_is_the_projects() -> None:
    found = judged(failure(revision=None))
    assert type(found) is RevisionsInvalid
    assert found.message == "env.py failed: it broke"


def test_a_missing_module_asks_for_the_right_interpreter() -> None:
    found = judged(failure(revision=None, type="builtins.ModuleNotFoundError"))
    assert "MIGRATOR_PYTHON" in found.remedy


def test_an_env_py_that_exits_is_told_not_to() -> None:
    found = judged(failure(revision=None, has_exited=True))
    assert "env.py must not end the process" in found.remedy


@pytest.mark.parametrize("why", ["database", "pooler", "several", "scratch"])
def test_a_session_that_cannot_be_watched_is_refused(why: str) -> None:
    found = judged(failure(revision=None, refused=why))
    assert type(found) is PolicyRefused
    assert "env.py" in found.remedy


def test_an_env_py_without_a_connection_cannot_be_trusted() -> None:
    assert type(judged(failure(revision=None, refused="offline"))) is RevisionsInvalid


def test_what_changes_the_whole_server_ends_a_proof() -> None:
    assert type(judged(failure(refused="cluster"))) is StateRefused


def test_a_session_that_no_longer_leads_was_interrupted() -> None:
    assert type(judged(failure(refused="leader"))) is InterruptedMidway


def test_a_report_may_lack_anything_but_its_message() -> None:
    assert Failure.reported({"is": "failed", "message": "it broke"}) == Failure("it broke")
    full = {"message": "m", "revision": "a1", "sqlstate": "42601", "statement": "SELEC", "where": "a.py:1"}
    assert Failure.reported({"is": "failed", **full, "exit": True}) == Failure(**full, has_exited=True)  # type: ignore[arg-type]
