"""`migrator settings`: the table of settings."""

import json

from migrator.settings.definition import ROWS, Row
from migrator.telemetry.sheet import Grid


def markdown() -> str:
    """The table as the documentation shows it."""
    lines = ["| setting | flag | default | meaning |", "|---|---|---|---|"]
    lines += [f"| {_names(row)} | `{row.flag}` | {row.default} | {row.meaning} |" for row in ROWS]
    return "\n".join(lines)


def as_json() -> str:
    """The table for programs."""
    rows = [
        {
            "names": list(row.names),
            "flag": row.flag,
            "default": row.default.strip("`"),
            "meaning": row.meaning,
            "file_variant": row.secret,
        }
        for row in ROWS
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def sheet() -> tuple[Grid]:
    """The table for people."""
    rows = tuple((row.names[0], row.default.replace("`", ""), row.meaning.replace("`", "")) for row in ROWS)
    return (Grid(("setting", "default", "meaning"), rows),)


def _names(row: Row) -> str:
    names = ", ".join(f"`{name}`" for name in row.names)
    return f"{names} (also `…_FILE`)" if row.secret else names
