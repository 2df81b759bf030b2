"""How a run ended, in the words and the order in which people ask."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from migrator.errors import ExitCode
from migrator.model import partial_note

Facts = Mapping[str, Any]

_KINDS: Final = {
    "permanent": ", permanent: the same release fails again",
    "retryable": ", retryable: time alone may cure it",
}
_NOTABLE_SECONDS: Final = 0.1


def summary(message: str, facts: Facts) -> str:
    """The last event's sentence, without what gets a line of its own."""
    problems = facts.get("problems") or ()
    if len(problems) > 1:
        return f"{facts.get('exit_name')}: {len(problems)} problems"
    return message.partition("; committed: ")[0] if "committed" in facts else message


def details(facts: Facts, next_step: str) -> Iterator[tuple[str, str]]:
    """What it adds to its sentence, in the order a person asks; `next_step` is what a success allows."""
    if facts.get("error"):
        yield from _failure(facts)
    number = facts.get("exit_code", 0)
    if next_step and number == ExitCode.OK:
        yield "next", next_step
    kind = next((one.kind for one in ExitCode if one == number), "")
    yield "exit", f"{number} {facts.get('exit_name', '')}{_KINDS.get(kind, '')}"
    phases: Mapping[str, float] = facts.get("phases") or {}
    notable = [f"{name} {spent:.2f}" for name, spent in phases.items() if spent >= _NOTABLE_SECONDS]
    yield "took", f"{float(facts.get('seconds') or 0):.2f} s" + (f": {', '.join(notable)}" if notable else "")


def _failure(facts: Facts) -> Iterator[tuple[str, str]]:
    problems = facts.get("problems") or ()
    if len(problems) > 1:
        yield from (("problem", str(problem)) for problem in problems)
    if facts.get("statement"):
        yield "statement", str(facts["statement"])
    if facts.get("where"):
        yield "at", str(facts["where"]).removeprefix(f"{os.path.realpath(os.curdir)}{os.sep}")
    yield from _what_is_true_now(facts)
    if facts.get("remedy"):
        yield "what to do", str(facts["remedy"])


def _what_is_true_now(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, label in (("committed", "committed"), ("rolled_back", "rolled back")):
        if name in facts:
            yield label, _listed(facts[name])
    if "committed" not in facts and facts.get("heads_after") is not None:
        heads = ", ".join(map(str, facts["heads_after"])) or "no revision"
        yield "database", f"at {heads}, when it was last looked at"
    if facts.get("half_applied"):
        yield "in part", f"{_listed(facts['half_applied'])}: what it committed by itself stays"
    if facts.get("invalid_indexes"):
        yield "left INVALID", _listed(facts["invalid_indexes"])
    if facts.get("backup"):
        yield "backup", _backup(facts["backup"])


def _backup(facts: Facts) -> str:
    return f"{facts.get('location')}{partial_note(facts.get('missing') or ())}"


def _listed(names: Any) -> str:
    return ", ".join(map(str, names or ())) or "nothing"
