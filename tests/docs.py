"""`make docs`: the generated tables of the README, written from the code they describe."""

from pathlib import Path

from migrator.commands import exit_codes, settings

README = Path(__file__).parents[1] / "README.md"
_TABLES = {"exit-codes": exit_codes.markdown, "settings": settings.markdown}


def rendered(text: str) -> str:
    """The text with every generated block as the code has it now."""
    for name, table in _TABLES.items():
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}{table()}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
