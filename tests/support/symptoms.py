"""The page of symptoms as its tests read it: what is seen, and what to type."""

import dataclasses
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.runner import REPOSITORY, Migrator, Result

PAGE: Final = REPOSITORY / "docs" / "troubleshooting.md"
_ROW: Final = re.compile(r"(?m)^\| (\d+) \| (.+?) \|")


@dataclass(frozen=True, slots=True)
class Symptom:
    """One section of the page.

    Attributes:
        seen: each row of its table: the exit code, and the quotations that migrator must say with it.
        commands: what it tells to type, in order.
        text: all of it.
    """

    title: str
    seen: tuple[tuple[int, tuple[str, ...]], ...]
    commands: tuple[str, ...]
    text: str

    def explains(self, result: Result, row: int = 0) -> None:
        """See that migrator ended as this row says, with each of its words."""
        exit_code, quotations = self.seen[row]
        assert result.exit_code == exit_code, result.last
        told = [event["message"] for event in result.events if event["level"] in {"warning", "error"}]
        said = "\n".join([*told, result.last["error"] or "", result.last["remedy"] or ""])
        for quotation in quotations:
            assert quotation in said, f"{quotation!r} not in {said}"

    def type_command(self, migrator: Migrator, number: int = 0, **placeholders: str) -> Result:
        """Type this command as it stands on the page, with the reader's own names for its example's."""
        variables: dict[str, str] = {}
        words = shlex.split(self.commands[number])
        for name, value in placeholders.items():
            words = [word.replace(name, value) for word in words]
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        assert words.pop(0) == "migrator"
        typing = dataclasses.replace(migrator, environ={**migrator.environ, **variables})
        return typing(*words)


def symptoms(page: Path = PAGE) -> dict[str, Symptom]:
    """Every section of the page, by its title."""
    sections = re.split(r"(?m)^## ", page.read_text(encoding="utf-8"))[1:]
    found = [_symptom(section) for section in sections]
    return {one.title: one for one in found}


def _symptom(section: str) -> Symptom:
    title, _, text = section.partition("\n")
    seen = tuple((int(code), tuple(re.findall(r"`([^`]+)`", words))) for code, words in _ROW.findall(text))
    commands = re.findall(r"(?m)^\$ (.*migrator .+?)(?:  +#.*)?$", text)
    return Symptom(title.strip(), seen, tuple(commands), text)
