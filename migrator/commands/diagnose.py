"""`migrator diagnose`: every check that changes nothing, each with what to do about it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from migrator import __version__
from migrator.account import Account
from migrator.diagnosis.checks import SECTIONS
from migrator.diagnosis.examination import Answer, examine
from migrator.diagnosis.finding import Check, Verdict
from migrator.errors import MigratorError, ProblemsFound, UsageError
from migrator.model import Outcome
from migrator.steps.desk import Desk
from migrator.telemetry.redaction import redacted
from migrator.telemetry.wording import counted

Show = Callable[[str, Mapping[str, Any]], None]

_SHOUTED = {Verdict.PASS: "pass", Verdict.WARN: "WARN", Verdict.FAIL: "FAIL", Verdict.IMPOSSIBLE: "n/a"}


def diagnose(  # noqa: PLR0913 - its own options, and how to show what it finds
    desk: Desk,
    account: Account,
    *,
    only: Sequence[str],
    deep: bool,
    flags: Mapping[str, str],
    show: Show,
) -> Outcome:
    """Ask every check there is, or those named; 18 when one failed."""
    try:
        checks = _chosen([check for section in SECTIONS for check in section], only, deep=deep)
        with account.phase("diagnose"):
            answers = examine(checks, desk, flags)
    except MigratorError as error:
        return account.failed(error)
    show(desk.redact("\n".join(_lines(answers))), redacted(_document(answers), desk.redact))
    failures = [one for one in answers if one.finding.verdict is Verdict.FAIL]
    if failures:
        ids = tuple(dict.fromkeys(one.check.id for one in failures))
        return account.failed(
            ProblemsFound(
                f"{counted(len(ids), 'check')} failed: {', '.join(ids)}",
                problems=[one.finding.seen for one in failures],
            )
        )
    return account.concluded("no check failed")


def _chosen(checks: Sequence[Check], only: Sequence[str], *, deep: bool) -> tuple[Check, ...]:
    """Those that are named, by id or section. Who names a deep check has asked for it."""
    known = {check.id for check in checks} | {check.section for check in checks}
    if unknown := [one for one in only if one not in known]:
        ids = ", ".join(check.id for check in checks)
        raise UsageError(
            f"there is no check or section {', '.join(map(repr, unknown))}",
            remedy=f"one of these, or a whole section, which is what stands before the dot: {ids}",
        )
    return tuple(
        check
        for check in checks
        if check.id in only or ((not only or check.section in only) and (deep or not check.is_deep))
    )


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    for number, (section, group) in enumerate(groupby(answers, lambda one: one.check.section)):
        yield from ([""] if number else [])
        yield section
        # What hinders several checks is told once.
        for _, alike in groupby(group, _hindrance):
            yield from _told(tuple(alike))
    counts = _counts(answers)
    yield ""
    yield (
        f"{counted(len(answers), 'finding')}: {counts[Verdict.PASS]} passed, {counts[Verdict.WARN]} warned, "
        f"{counts[Verdict.FAIL]} failed, {counts[Verdict.IMPOSSIBLE]} not possible"
    )


def _hindrance(one: Answer) -> object:
    return one.finding.seen if one.finding.verdict is Verdict.IMPOSSIBLE else id(one)


def _told(alike: Sequence[Answer]) -> Iterator[str]:
    """One line for a pass, more for what somebody has to read."""
    finding = alike[0].finding
    questions = ", ".join(dict.fromkeys(one.check.id.partition(".")[2] for one in alike))
    yield f"  {_SHOUTED[finding.verdict]:<4}  {questions:<14} {_flat(finding.seen)}"
    if finding.verdict is Verdict.PASS:
        return
    for word, text in (("why", finding.why), ("remedy", finding.remedy)):
        for number, line in enumerate(text.splitlines()):
            yield f"          {word if number == 0 else '':<6}  {line}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _counts(answers: Sequence[Answer]) -> Counter[Verdict]:
    return Counter(one.finding.verdict for one in answers)


def _document(answers: Sequence[Answer]) -> dict[str, Any]:
    """The same for programs; a check with several findings has as many entries."""
    counts = _counts(answers)
    return {
        "version": __version__,
        "checks": [
            {
                **one.finding.facts,
                "id": one.check.id,
                "verdict": one.finding.verdict.value,
                "seen": one.finding.seen,
                "why": one.finding.why,
                "remedy": one.finding.remedy,
            }
            for one in answers
        ],
        "summary": {verdict.value: counts[verdict] for verdict in Verdict},
    }
