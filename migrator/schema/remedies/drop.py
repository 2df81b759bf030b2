"""SQL that drops a part."""

from typing import Final

from migrator.schema.facts import Facts, Part
from migrator.schema.remedies.words import short_name

_TYPES: Final = frozenset({"enum", "composite type", "range type", "base type"})


def dropped(part: Part, facts: Facts) -> tuple[str, ...]:
    """The statement that drops it, or none where it is a matter for words."""
    match part.kind:
        case "column" | "constraint":
            holder = "DOMAIN" if "domain" in facts else "TABLE"
            what = part.kind.upper()
            return (f"ALTER {holder} {facts['on']} DROP {what} {short_name(part, facts)}",)
        case "trigger" | "rule" | "policy":
            return (f"DROP {part.kind.upper()} {short_name(part, facts)} ON {facts['on']}",)
        case "index" if facts.get("attached"):
            return ()
        case kind if kind in _TYPES:
            return (f"DROP TYPE {part.name}",)
        case kind:
            return (f"DROP {kind.upper()} {part.name}",)
