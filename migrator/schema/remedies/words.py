"""Words that several remedies use."""

from collections.abc import Mapping, Sequence

from migrator.schema.facts import Facts, Part
from migrator.schema.naming import quoted_words

Statements = tuple[str, ...]
Around = Mapping[Part, Facts]


def short_name(part: Part, facts: Facts) -> str:
    """The name without that of the table it stands on, quoted as SQL needs it."""
    return part.name.removeprefix(f"{facts['on']}.")


def last_word(name: str) -> str:
    """The name without its schema, quoted as SQL needs it."""
    return quoted_words(name)[-1]


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def options(pairs: Sequence[str], prefix: str = "") -> str:
    """Storage options as SQL writes them; the catalogs keep `name=value`."""
    split = (pair.partition("=") for pair in pairs)
    return ", ".join(f"{prefix}{name} = {literal(value)}" for name, _, value in split)


def sequence_options(facts: Facts) -> str:
    """What CREATE SEQUENCE, ALTER SEQUENCE and an identity column say, but for the type."""
    cycle = "CYCLE" if facts["cycle"] else "NO CYCLE"
    return (
        f"INCREMENT BY {facts['increment']} MINVALUE {facts['min']} MAXVALUE {facts['max']} "
        f"START WITH {facts['start']} CACHE {facts['cache']} {cycle}"
    )


def own_sequence(column: Part, facts: Facts, around: Around) -> tuple[Part, Facts] | None:
    """The sequence that belongs to a column, if it has one."""
    key = (facts["on"], short_name(column, facts))
    for part, other in around.items():
        if part.kind == "sequence" and (other.get("on"), other.get("column")) == key:
            return part, other
    return None
