"""What the documentation says is what the code has, and what it links to is there."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from migrator.arguments import COMMANDS
from migrator.history.state import StateName
from migrator.telemetry.events import EVENT_NAMES
from tests.docs import DOCS, REPOSITORY, pages, rendered

_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_shows_the_tables_as_the_code_has_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert rendered(text) == text, "run `make docs`"


def test_every_event_and_no_other_is_documented() -> None:
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    table = page[page.index("| event |") : page.index("`run.finished` carries")]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in first_cells for name in re.findall(r"`([a-z]+\.[a-z]+)`", cell)}
    assert named == set(EVENT_NAMES)


def test_every_page_is_in_the_menu() -> None:
    menu = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert set(re.findall(r"[\w-]+\.md", menu)) == {page.name for page in DOCS.glob("*.md")}


def test_every_state_and_no_other_has_its_row() -> None:
    page = (DOCS / "states.md").read_text(encoding="utf-8")
    table = page[page.index("| state |") : page.index("`status` exits")]
    assert {line.split("|")[1].strip() for line in table.splitlines()[2:] if line} == set(StateName)


def test_every_project_that_is_named_is_deployed_by_a_test() -> None:
    page = (DOCS / "projects.md").read_text(encoding="utf-8")
    cells = [line.split("|")[3] for line in page.splitlines() if line.count("|") == 4]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 40
    assert named <= {folder.name for folder in (REPOSITORY / "tests" / "projects").iterdir()}


def test_every_command_that_is_shown_exists() -> None:
    for page in pages():
        for command in re.findall(r"(?m)^\$ .*?\bmigrator ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert command in COMMANDS, (page.name, command)


# Those of the site itself are checked, with their anchors, where it is built: `make lint`.
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_link_of_a_page_is_mistyped(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
        elif parts.path:
            assert (page.parent / parts.path).exists(), link


def test_no_anchor_of_the_readme_leads_nowhere() -> None:
    for link in _LINK.findall((REPOSITORY / "README.md").read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if parts.fragment and parts.path.endswith(".md"):
            assert parts.fragment in _anchors(REPOSITORY / parts.path), link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", one).strip().lower()) for one in headings}
