"""The matrix as a table: printed after every run, and written to the docs by `make chaos-long`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.chaos.faults import FAULTS
from tests.chaos.matrix import impossible, possible
from tests.chaos.points import POINTS

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
_START, _END = "<!-- generated: chaos -->\n", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One cell that was run."""

    point: str
    fault: str
    passed: bool
    exit_code: int | None
    rival_code: int | None
    was_repaired: bool

    @classmethod
    def of(cls, facts: Mapping[str, Any], *, passed: bool) -> "Row":
        """From what the test recorded; a cell that failed may not have got far."""
        return cls(
            str(facts["point"]),
            str(facts["fault"]),
            passed,
            facts.get("exit_code"),
            facts.get("rival_code"),
            bool(facts.get("was_repaired")),
        )


def summary(rows: Sequence[Row]) -> str:
    """For the terminal: what failed, and the exit codes of each fault."""
    lines = [f"{len(rows)} cells run, {sum(row.passed for row in rows)} passed"]
    for fault in FAULTS:
        codes = Counter(str(row.exit_code) for row in rows if row.fault == fault.name)
        if codes:
            lines.append(f"  {fault.name}: {', '.join(f'{n} × {code}' for code, n in sorted(codes.items()))}")
    lines += [f"  FAILED {row.point} × {row.fault}" for row in rows if not row.passed]
    return "\n".join(lines)


def markdown(rows: Sequence[Row], seed: str) -> str:
    """For the page: exit codes by point and fault."""
    passed = sum(row.passed for row in rows)
    kinds = len({(row.point, row.fault) for row in rows})
    rivals = sum(row.rival_code is not None for row in rows)
    head = [
        f"{len(rows)} cells run, of {kinds} of {len(possible())} kinds; {passed} passed.",
        f"In {rivals} of them a second runner came in the middle of it. `CHAOS_SEED={seed}`.",
        "",
        "| | " + " | ".join(fault.name for fault in FAULTS) + " |",
        "|---" * (len(FAULTS) + 1) + "|",
    ]
    never = {(point.name, fault.name) for point, fault, _ in impossible()}
    body = [
        f"| **{point.name}** | "
        + " | ".join(
            "–" if (point.name, fault.name) in never else _cell(rows, point.name, fault.name)
            for fault in FAULTS
        )
        + " |"
        for point in POINTS
    ]
    return "\n".join([*head, *body, "", *_legend()])


def _cell(rows: Iterable[Row], point: str, fault: str) -> str:
    found = [row for row in rows if (row.point, row.fault) == (point, fault)]
    if not found:
        return "not run"
    if not all(row.passed for row in found):
        return "**FAILED**"
    codes = sorted({_named(row.exit_code) for row in found})
    return ", ".join(codes) + (" ¹" if any(row.was_repaired for row in found) else "")


def _named(code: int | None) -> str:
    return "killed" if code is not None and code < 0 else str(code)


def _legend() -> list[str]:
    reasons: dict[str, list[str]] = {}
    for point, fault, why in impossible():
        reasons.setdefault(f"{fault.name}: {why}", []).append(point.name)
    lines = [
        "Each entry is the exit code of the run that was hit; the next run ended in 0 in every cell.",
        "¹ The build had left an INVALID index: the run after it dropped it, said so, and built it again.",
        "",
        "– cannot be:",
        "",
    ]
    return [*lines, *(f"- {why} ({', '.join(points)})" for why, points in reasons.items())]


def write_table(rows: Sequence[Row], seed: str) -> None:
    """Put the table in its place."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_START)
    PAGE.write_text(
        f"{before}{_START}{markdown(rows, seed)}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8"
    )
