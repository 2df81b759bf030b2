"""`migrator exit-codes`: the table of exit codes."""

import json

from migrator.errors import ExitCode
from migrator.telemetry.sheet import Grid


def markdown() -> str:
    """The table as the documentation shows it."""
    lines = ["| code | name | kind | meaning | what to do |", "|---|---|---|---|---|"]
    lines += [
        f"| {int(one)} | `{one.name}` | {one.kind} | {one.meaning} | {one.remedy} |" for one in ExitCode
    ]
    return "\n".join(lines)


def as_json() -> str:
    """The table for programs."""
    rows = [
        {"code": int(one), "name": one.name, "kind": one.kind, "meaning": one.meaning, "remedy": one.remedy}
        for one in ExitCode
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def sheet() -> tuple[Grid]:
    """The table for people."""
    rows = tuple((str(int(one)), one.name, one.kind, one.meaning.replace("`", "")) for one in ExitCode)
    return (Grid(("code", "name", "kind", "meaning"), rows),)
