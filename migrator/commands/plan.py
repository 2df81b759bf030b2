"""`migrator plan`: the revisions a run would apply, oldest first, with their SQL if asked for."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.account import Account
from migrator.errors import MigratorError
from migrator.history.attempt import Attempt
from migrator.history.failure import Failure, judged
from migrator.history.process import Report
from migrator.history.state import State, StateName, refuse_state
from migrator.model import Outcome, Revision
from migrator.steps.desk import Desk
from migrator.steps.see import View, see
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
    except MigratorError as error:
        return account.failed(error)
    pages = [_page(one, told, failure, with_sql=sql) for one in state.pending]
    document: dict[str, Any] = {
        "database": account.database,
        "state": state.name.value,
        "reason": state.reason,
        "heads": list(state.heads),
        "targets": sorted(view.release.targets),
        "pending": [_entry(one, told, with_sql=sql) for one in state.pending],
    }
    if failure is not None:
        document["sql_ends_at"] = {"revision": failure.revision, "reason": failure.message}
    show(desk.redact("\n".join([_headline(state), *pages])), document)
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


def _page(one: Revision, told: Mapping[str, str], failure: Failure | None, *, with_sql: bool) -> str:
    line = f"  {one.id}  {one.doc}".rstrip()
    if not with_sql:
        return line
    if one.id in told:
        return f"\n-- {line.strip()}\n{told[one.id]}"
    if failure is not None and failure.revision == one.id:
        return f"\n-- {line.strip()}\n-- cannot be told without running it: {failure.message}"
    return f"\n-- {line.strip()}\n-- not told: it comes after one that cannot be told"


def _entry(one: Revision, told: Mapping[str, str], *, with_sql: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "revision": one.id,
        "message": one.doc,
        "down_revision": list(one.down),
        "file": str(one.path) if one.path else None,
    }
    return entry | ({"sql": told.get(one.id)} if with_sql else {})
