"""State: where the database stands, and what `run` would make of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.history.corrupt import repair_statement
from migrator.history.halves import standing
from migrator.history.release import Release
from migrator.history.sight import Sight
from migrator.history.state import State, StateName
from migrator.ledger.halves import read_half_applied
from migrator.ledger.runs import Access, ledger_access, who_leads
from migrator.postgres.catalog import invalid_indexes
from migrator.settings import Settings
from migrator.steps.half import Half, judged_halves
from migrator.steps.remembered import remembered
from migrator.telemetry.wording import counted

_MOST_NAMED = 10
_REFUSED = "`run` would end with 12 and change nothing"


def _version(patient: Patient) -> Iterator[Finding]:
    settings, sight = patient.desk.settings, patient.sight()
    if sight.state is None:
        yield impossible(
            "only env.py knows its version table, and it was not run for this",
            why="set MIGRATOR_VERSION_TABLE to be told more; a run records the table in the ledger",
            remedy="migrator plan",
        )
        return
    yield _told(sight.state, sight, patient.release(), settings)


def _told(state: State, sight: Sight, release: Release, settings: Settings) -> Finding:
    facts = {"state": state.name.value, "heads": list(state.heads), "pending": len(state.pending)}
    seen = f"{state.name}: {state.reason}"
    match state.name:
        case StateName.CURRENT:
            return passed(f"{seen}; `run` would find nothing to do", **facts)
        case StateName.PENDING | StateName.FRESH:
            return passed(f"{seen}; `run` would apply {_listed(state)}", **facts)
        case StateName.AHEAD | StateName.AHEAD_UNPROVEN:
            return _ahead(state, seen, settings, facts)
        case StateName.UNVERSIONED:
            return (failed if settings.on_unversioned == "refuse" else warned)(
                seen,
                why=_REFUSED
                if settings.on_unversioned == "refuse"
                else "`run` would replay the revisions on a scratch database, and stamp only what they prove",
                remedy="migrator adopt --stamp",
                **facts,
            )
        case StateName.DIVERGED:
            return failed(
                seen,
                why=f"{_REFUSED}: deploy a release that knows these revisions, or restore a backup",
                remedy="migrator backups",
                **facts,
            )
        case StateName.CORRUPT:
            repairs = [repair_statement(one, release.graph) for one in sight.rows]
            return failed(
                seen,
                why=f"{_REFUSED}; take a backup before you repair it, and `migrator verify` it afterwards",
                remedy="; ".join(one for one in repairs if one),
                **facts,
            )


def _ahead(state: State, seen: str, settings: Settings, facts: Mapping[str, Any]) -> Finding:
    if state.opens_gate(settings.on_ahead):
        return passed(f"{seen}; `run` would leave it as it is, by MIGRATOR_ON_AHEAD", **facts)
    if state.name is StateName.AHEAD:
        return failed(
            seen,
            why=f"{_REFUSED}: a newer release was here",
            remedy="export MIGRATOR_ON_AHEAD=allow",
            **facts,
        )
    return failed(
        seen,
        why=f"{_REFUSED}: see first whether this is the right database, and which release migrated it",
        remedy="export MIGRATOR_ON_AHEAD=allow-unproven",
        **facts,
    )


def _listed(state: State) -> str:
    more = ", …" if len(state.pending) > _MOST_NAMED else ""
    named = ", ".join(one.id for one in state.pending[:_MOST_NAMED])
    return f"{counted(len(state.pending), 'revision')}: {named}{more}"


def _halves(patient: Patient) -> Iterator[Finding]:
    session, release = patient.session(), patient.release()
    leading = who_leads(session)
    at_work = leading.run.id if leading and leading.run else None
    noted = [one for one in read_half_applied(session) if one.run_id != at_work]
    halves = standing(noted, patient.sight(), release)
    for one in judged_halves(session, release, halves, invalid_indexes(session), patient.desk.cwd):
        yield _half(one)
    if not halves:
        yield passed("no revision is half applied, as far as the ledger knows")


def _half(half: Half) -> Finding:
    if half.why is None:
        return warned(
            half.message,
            why="a run goes on with it: it is certain that all of the revision may be run again",
            remedy="migrator run",
            **half.facts,
        )
    return failed(
        half.message,
        why=f"{half.why}: a run ends with 14 before it does anything",
        remedy=half.remedy,
        **half.facts,
    )


def _remembered(patient: Patient) -> Iterator[Finding]:
    session, state = patient.session(), patient.sight().state
    if state is None or ledger_access(session) is not Access.READABLE:
        yield passed("no failure is remembered")
        return
    failure = remembered(session, patient.release(), patient.desk.settings, state)
    if failure is None:
        yield passed("no failure is remembered")
        return
    yield failed(
        failure.message,
        why=f"`run` would end with {int(failure.exit_code)} at once: {failure.remedy}",
        remedy="migrator run --retry",
        **failure.facts,
    )


CHECKS: tuple[Check, ...] = (
    Check("state.version", _version),
    Check("state.half_applied", _halves),
    Check("state.remembered", _remembered),
)
