"""`make docs`: the generated tables of the README, written from the code they describe."""

import re
from pathlib import Path

from migrator.commands import exit_codes, settings

README = Path(__file__).parents[1] / "README.md"
_TABLES = {"exit-codes": exit_codes.markdown, "settings": settings.markdown}


def rendered(text: str) -> str:
    """The text with every generated block as the code has it now."""
    for name, table in _TABLES.items():
        block = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = block.sub(lambda found, table=table: f"{found[1]}{table()}\n{found[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
