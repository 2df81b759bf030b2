"""`make docs`: the generated tables of the documentation, written from the code they describe."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from migrator.commands import exit_codes, settings
from migrator.errors import ExitCode
from migrator.telemetry.metrics import Measured, samples

REPOSITORY: Final = Path(__file__).parents[1]
DOCS: Final = REPOSITORY / "docs"
ALERTS: Final = DOCS / "alerts.yml"
# A run of which everything can be told: its metrics are all there are.
EVERYTHING: Final = Measured(
    app="shop",
    database="shop",
    release="1.0",
    outcome="migrated",
    exit_code=ExitCode.OK,
    finished=datetime(2026, 1, 1, tzinfo=UTC),
    duration_seconds=1,
    phases={"migrate": 1},
    revisions_applied=1,
    revisions_pending=0,
    backup_size_bytes=1,
    backup_duration_seconds=1,
    backup_finished=datetime(2026, 1, 1, tzinfo=UTC),
    database_size_bytes=1,
)


def alerts() -> Mapping[str, str]:
    """The expression of each alert, by name."""
    rules = re.split(r"(?m)^ *- alert: ", ALERTS.read_text(encoding="utf-8"))[1:]
    return {rule.split()[0]: rule.split("expr:")[1].split("for:")[0].split("labels:")[0] for rule in rules}


def metrics() -> str:
    """Every metric, with the alerts that read it."""
    lines = ["| metric | meaning | alert |", "|---|---|---|"]
    for sample in samples(EVERYTHING):
        labels = ",".join(name for name, _ in sample.labels)
        name = f"`{sample.name}{{{labels}}}`" if labels else f"`{sample.name}`"
        readers = [f"`{alert}`" for alert, expr in alerts().items() if re.search(rf"{sample.name}\b", expr)]
        lines.append(f"| {name} | {sample.help} | {', '.join(readers) or '–'} |")
    return "\n".join(lines)


def alert_rules() -> str:
    """The file of the alerts, as a page quotes it."""
    return f"```yaml\n{ALERTS.read_text(encoding='utf-8').rstrip()}\n```"


_BLOCKS: Final = {
    "exit-codes": exit_codes.markdown,
    "settings": settings.markdown,
    "metrics": metrics,
    "alerts": alert_rules,
}


def rendered(text: str) -> str:
    """The text with every generated block in it as the code has it now."""
    for name, block in _BLOCKS.items():
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        if found:
            text = f"{before}{start}{block()}\n{end}{rest.partition(end)[2]}"
    return text


def pages() -> list[Path]:
    """Every page a person may read."""
    return [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]


if __name__ == "__main__":
    for page in pages():
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
