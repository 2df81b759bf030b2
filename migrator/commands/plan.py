"""`migrator plan`: the revisions a run would apply, oldest first; with their SQL, and what it would meet."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from migrator.account import Account
from migrator.commands.planned import Planned
from migrator.errors import MigratorError
from migrator.history.attempt import Attempt
from migrator.history.failure import Failure, judged
from migrator.history.process import Report
from migrator.history.promise import Promise, promise_of
from migrator.history.state import State, StateName, refuse_state
from migrator.model import Outcome, Revision
from migrator.steps.desk import Desk
from migrator.steps.foresee import foresee
from migrator.steps.see import View, see
from migrator.telemetry.redaction import redacted
from migrator.telemetry.wording import counted


def plan(
    desk: Desk, account: Account, *, sql: bool, show: Callable[[str, Mapping[str, Any]], None]
) -> Outcome:
    """Tell what a run would do. Nothing is written: sessions of user code are read-only."""
    try:
        view = see(desk, account)
        state = view.sight.state
        assert state is not None  # noqa: S101 - `see` told it, or raised
        if state.name is not StateName.UNVERSIONED:
            refuse_state(state, on_ahead=desk.settings.on_ahead)
        told, failure = _sql(view) if sql and state.pending else ({}, None)
        planned = [_planned(one, desk.cwd, told, failure) for one in state.pending]
        if told:
            planned = _foreseen(view, told, planned)
    except MigratorError as error:
        return account.failed(error)
    document: dict[str, Any] = {
        "database": account.database,
        "state": state.name.value,
        "reason": state.reason,
        "heads": list(state.heads),
        "targets": sorted(view.release.targets),
        "pending": [one.document(with_sql=sql) for one in planned],
    }
    if failure is not None:
        document["sql_ends_at"] = {"revision": failure.revision, "reason": failure.message}
    pages = [one.page(with_sql=sql) for one in planned]
    show(desk.redact("\n".join([_headline(state), *pages])), redacted(document, desk.redact))
    return account.concluded("the plan is told")


def _sql(view: View) -> tuple[dict[str, str], Failure | None]:
    """The SQL by revision, as far as it can be told without running it."""
    told: dict[str, str] = {}

    def hear(report: Report) -> None:
        told[report["id"]] = report["text"].strip()

    attempt = view.listener.follow(view.listener.launch.sql(), Attempt(is_over_when_finished=True), told=hear)
    failure = attempt.failure
    if failure is not None and failure.revision is None:
        raise judged(failure, reached=attempt.reached)
    return told, failure


def _planned(one: Revision, cwd: Path, told: Mapping[str, str], failure: Failure | None) -> Planned:
    path = one.path
    promise = promise_of(path.read_bytes()) if path and path.suffix == ".py" else Promise()
    file = "" if path is None else str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
    if one.id in told:
        return Planned(one, promise, file, sql=told[one.id])
    if failure is not None and failure.revision == one.id:
        return Planned(one, promise, file, untold=f"cannot be told without running it: {failure.message}")
    return Planned(one, promise, file, untold="not told: it comes after one that cannot be told")


def _foreseen(view: View, told: Mapping[str, str], planned: list[Planned]) -> list[Planned]:
    with view.desk.connector.reopen("the tables' sizes") as session:
        found = foresee(session, told, view.sight.tables)
    return [replace(one, foreseen=found.get(one.revision.id, ())) for one in planned]


def _headline(state: State) -> str:
    number = len(state.pending)
    if state.name is StateName.UNVERSIONED:
        return (
            f"The database is unversioned: {state.reason}.\n"
            "A run first finds out by replay which revision it is at; see `migrator adopt`."
        )
    if not number:
        return f"Nothing to apply: the database is {state.name}, {state.reason}."
    return f"{counted(number, 'revision')} to apply: the database is {state.name}, {state.reason}."
