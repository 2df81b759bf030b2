"""`migrator status`: where the database stands, who leads, and the last runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from migrator.account import Account
from migrator.errors import MigratorError
from migrator.history.release import Release
from migrator.history.state import StateName
from migrator.ledger.halves import HalfApplied
from migrator.ledger.runs import Access, RecordedRun, rfc3339
from migrator.model import Outcome
from migrator.steps.begin import load
from migrator.steps.desk import Desk
from migrator.steps.overview import Overview, overview
from migrator.telemetry.redaction import redacted
from migrator.telemetry.sheet import Block, Entry
from migrator.telemetry.wording import counted

Show = Callable[[Sequence[Block], Mapping[str, Any]], None]

_MOST_PENDING = 20
# Where the version rows do not tell what is there, they do not tell what is not.
_UNTOLD = {
    StateName.UNVERSIONED: "not known: `migrator adopt` finds out which revision the schema is at",
    StateName.CORRUPT: "not known before the version table is repaired",
    StateName.DIVERGED: "not known: the database went another way",
    StateName.AHEAD_UNPROVEN: "not known: nobody recorded what the database is at",
}
_GRANT = "GRANT pg_read_all_stats to this role shows what hidden sessions do, and since when"
_LEDGER = {
    Access.NONE: "none yet: the first run that leads makes one, unless MIGRATOR_LEDGER=off",
    Access.HIDDEN: "there is one, which this role may not read: GRANT USAGE ON SCHEMA migrator and SELECT ON "
    "ALL TABLES IN SCHEMA migrator to it",
    Access.READABLE: "in schema migrator",
}


def status(desk: Desk, account: Account, *, show: Show) -> Outcome:
    """Look once and show it; whatever the state is, having looked is a success."""
    try:
        with account.phase("load"):
            release = load(desk)
        with account.phase("state"):
            found = overview(desk, release)
    except MigratorError as error:
        return account.failed(error)
    account.reached(found.database)
    account.saw(found.state)
    told = [replace(one, text=desk.redact(one.text)) for one in _lines(found, release, desk)]
    show(told, redacted(document(found, release, desk), desk.redact))
    return account.concluded("the database was looked at")


def document(found: Overview, release: Release, desk: Desk) -> dict[str, Any]:
    """The same for programs; what could not be told is null."""
    state = found.state
    return {
        "app": desk.settings.app,
        "release": desk.settings.release,
        "database": found.database,
        "host": found.host,
        "port": found.port,
        "server_version": _version(found.server_version),
        "state": state.name.value if state else None,
        "reason": state.reason if state else found.why_unknown,
        "opens_gate": state.opens_gate(desk.settings.on_ahead) if state else None,
        "heads": list(state.heads) if state else None,
        "targets": sorted(release.targets),
        "pending": [{"revision": one.id, "doc": one.doc} for one in state.pending]
        if state and state.name not in _UNTOLD
        else None,
        "half_applied": [_half(one) for one in found.half_applied],
        "version_tables": [
            {
                "schema": one.table.schema,
                "name": one.table.name,
                "exists": one.exists,
                "rows": sorted(one.rows),
            }
            for one in found.sight.rows
        ],
        "leader": _leader(found),
        "blockers": [one.facts for one in found.blockers],
        "invalid_indexes": [
            {"schema": one.schema, "name": one.name, "table": one.table, "remedy": one.remedy}
            for one in found.invalid
        ],
        "unvalidated_constraints": [
            {"schema": one.schema, "name": one.name, "table": one.table, "remedy": one.validate_statement}
            for one in found.unvalidated
        ],
        "ledger": found.access.value,
        "runs": [_run(one, found) for one in found.runs],
    }


def _half(half: HalfApplied) -> dict[str, Any]:
    return {
        "revision": half.revision,
        "run": half.run_id,
        "release": half.release,
        "since": rfc3339(half.noted),
        "committed_statements": list(half.committed),
        "committed_count": half.committed_count,
        "unknown_statement": half.begun,
        "backup_before": half.backup_location,
    }


def _leader(found: Overview) -> dict[str, Any] | None:
    leading = found.leading
    if leading is None:
        return None
    holder = leading.holder
    where = {"pid": holder.pid, "application": holder.application, "role": holder.role, "host": holder.host}
    told = {name: value for name, value in leading.facts.items() if name != "leader"}
    return where | {"leads_since": rfc3339(holder.since)} | told


def _run(run: RecordedRun, found: Overview) -> dict[str, Any]:
    return {
        "id": run.id,
        "app": run.app,
        "release": run.release,
        "started": rfc3339(run.started),
        "finished": rfc3339(run.finished),
        "outcome": _outcome(run, found),
        "exit_code": run.exit_code,
        "revisions_applied": run.applied,
        "heads_before": list(run.heads_before),
        "heads_after": None if run.heads_after is None else list(run.heads_after),
        "error": run.error,
    }


def _outcome(run: RecordedRun, found: Overview) -> str:
    """How it ended, in one word; without an end it is running, or was lost with its process."""
    if run.finished is not None:
        return run.outcome or "unknown"
    return "running" if found.leading and found.leading.run == run else "lost"


def _lines(found: Overview, release: Release, desk: Desk) -> Iterator[Entry]:
    state = found.state
    where = (
        f"{found.host}:{found.port}" if found.host and not found.host.startswith("/") else "a local socket"
    )
    yield Entry("database", f"{found.database} on {where}, PostgreSQL {_version(found.server_version)}")
    yield Entry("release", f"{desk.settings.release} of {desk.settings.app}")
    yield Entry("state", f"{state.name}: {state.reason}" if state else f"unknown: {found.why_unknown}")
    if state is not None:
        yield Entry("heads", ", ".join(state.heads) or "none")
    yield Entry("wanted", ", ".join(sorted(release.targets)) or "none")
    if state is not None:
        yield from _pending_lines(found)
        yield from _half_lines(found)
    tables = [f"{one.table}" if one.exists else f"{one.table} (not there yet)" for one in found.sight.rows]
    yield Entry("tables", ", ".join(tables) or "unknown")
    yield from _leader_lines(found)
    yield from _blocker_lines(found)
    yield from _unfinished_lines(found)
    yield Entry("ledger", _LEDGER[found.access])
    yield from _run_lines(found)


def _pending_lines(found: Overview) -> Iterator[Entry]:
    if found.state and found.state.name in _UNTOLD:
        yield Entry("pending", _UNTOLD[found.state.name])
        return
    pending = found.state.pending if found.state else ()
    yield Entry("pending", counted(len(pending), "revision") if pending else "nothing")
    width = max((len(one.id) for one in pending[:_MOST_PENDING]), default=0)
    for one in pending[:_MOST_PENDING]:
        yield Entry("", f"  {one.id:<{width}}  {one.doc}")
    if len(pending) > _MOST_PENDING:
        yield Entry("", f"  and {len(pending) - _MOST_PENDING} more")


def _half_lines(found: Overview) -> Iterator[Entry]:
    for half in found.half_applied:
        noun = "statement" if half.committed_count == 1 else "statements"
        when = f"{rfc3339(half.noted)} by run {half.run_id}"
        yield Entry("in part", f"{half.revision}: {half.committed_count} {noun} committed, until {when}")
        for one in half.committed:
            yield Entry("", f"  {one}")
        if half.begun:
            yield Entry("", f"  perhaps: {half.begun}")


def _leader_lines(found: Overview) -> Iterator[Entry]:
    if found.leading is None:
        yield Entry("leader", "nobody")
    elif found.leading.run is None:
        yield Entry("leader", str(found.leading.holder))
    else:
        yield Entry("leader", str(found.leading))
        yield Entry("", str(found.leading.holder))


def _blocker_lines(found: Overview) -> Iterator[Entry]:
    for number, one in enumerate(found.blockers):
        yield Entry("" if number else "blocked by", str(one))
    if any(one.is_hidden for one in found.blockers):
        yield Entry("", _GRANT)


def _unfinished_lines(found: Overview) -> Iterator[Entry]:
    """What stands half-made, whoever left it: no run repairs what no revision says."""
    for number, index in enumerate(found.invalid):
        yield Entry("" if number else "INVALID", f"index {index}: {index.remedy}")
    for number, constraint in enumerate(found.unvalidated):
        yield Entry("" if number else "NOT VALID", f"{constraint}: {constraint.validate_statement}")


def _run_lines(found: Overview) -> Iterator[Entry]:
    rows = [_columns(run, found) for run in found.runs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (run, row) in enumerate(zip(found.runs, rows, strict=True)):
        columns = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        yield Entry("" if number else "last runs", "  ".join(columns))
        if run.error:
            yield Entry("", f"  {run.error}")


def _columns(run: RecordedRun, found: Overview) -> tuple[str, ...]:
    when = f"{run.started.astimezone(UTC):%Y-%m-%d %H:%M}Z" if run.started else "?"
    outcome = _outcome(run, found).replace("_", " ")
    ended = outcome if run.exit_code is None else f"{outcome}, exit {run.exit_code}"
    return when, run.release, ended, counted(run.applied, "revision")


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"
