"""What to do about a mismatch: SQL wherever it is simple and does not depend on the data, else words."""

from migrator.schema.difference import Remedy
from migrator.schema.matching import Mismatch
from migrator.schema.remedies.alter import altered
from migrator.schema.remedies.columns import columns_behind
from migrator.schema.remedies.create import created
from migrator.schema.remedies.drop import dropped
from migrator.schema.remedies.words import Around, Statements

__all__ = ["remedy_of"]


def remedy_of(one: Mismatch, expected: Around, actual: Around) -> Remedy:
    """What makes the actual part like the expected one, given what is on its table in either schema."""
    if one.what == "extra" and one.holder is None:
        return Remedy("nothing to do: no revision makes it, and nothing they make stands on it", is_sql=False)
    statements = _statements(one, expected)
    if not statements:
        return Remedy(_words(one), is_sql=False)
    text = "; ".join(statements)
    if one.part.kind == "column" and (behind := columns_behind(one, expected, actual)):
        return Remedy(f"{text} puts it last, but the revisions build it before {behind[0]}", is_sql=False)
    return Remedy(text, is_sql=True)


def _statements(one: Mismatch, around: Around) -> Statements:
    match one.what:
        case "missing":
            return created(one.part, one.known.facts, around)
        case "extra":
            return dropped(one.part, one.known.facts)
        case "different":
            return altered(one, around)


def _words(one: Mismatch) -> str:
    if one.what == "missing":
        return f"make {one.part} as the revisions do"
    if one.what == "extra":
        return f"drop {one.part}"
    if "columns" in one.changed_facts:
        return (
            f"columns cannot be moved: make {one.part} anew in the order of the revisions, and copy its rows"
        )
    facts = ", ".join(sorted(fact.replace("_", " ") for fact in one.changed_facts))
    return f"make {one.part} anew as the revisions do, or change its {facts}"
