"""What the documentation says is what the code has."""

import re

from migrator.telemetry.events import EVENT_NAMES
from tests.docs import README, rendered

EVENTS_PAGE = README.parent / "docs" / "events.md"


def test_the_readme_shows_the_tables_as_the_code_has_them() -> None:
    text = README.read_text(encoding="utf-8")
    assert rendered(text) == text, "run `make docs`"


def test_every_event_and_no_other_is_documented() -> None:
    page = EVENTS_PAGE.read_text(encoding="utf-8")
    table = page[page.index("| event |") : page.index("`run.finished` carries")]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in first_cells for name in re.findall(r"`([a-z]+\.[a-z]+)`", cell)}
    assert named == set(EVENT_NAMES)
