"""SQL that makes and changes tables."""

from collections.abc import Iterable
from typing import Final

from migrator.schema.facts import Facts, Part
from migrator.schema.matching import Mismatch
from migrator.schema.remedies import columns
from migrator.schema.remedies.words import Around, Statements, options

_NOT_SIMPLE: Final = frozenset({"of_type"})


def made_table(part: Part, facts: Facts, around: Around) -> Statements:
    """A table with its columns; what stands on it follows."""
    if not _NOT_SIMPLE.isdisjoint(facts):
        return ()
    own = [(one, of) for one, of in around.items() if one.kind == "column"]
    if "partition_of" in facts:
        return (
            _create(part, facts, f"PARTITION OF {facts['partition_of']} {facts['bound']}"),
            *_told(part, facts),
        )
    listed = sorted(
        ((one, of) for one, of in own if not of.get("only_inherited")),
        key=lambda item: _position(item[0], facts),
    )
    inside = ", ".join(columns.definition(one, of, around) for one, of in listed)
    serials = [columns.serial(one, of, around) for one, of in listed]
    return (
        *(statement for before, _ in serials for statement in before),
        _create(part, facts, f"({inside})"),
        *(statement for _, after in serials for statement in after),
        *_told(part, facts),
        *(statement for one, of in listed for statement in columns.settings(one, of)),
    )


def _position(column: Part, table: Facts) -> int:
    return int(table["columns"].index(columns.plain_name(column)))


def _create(part: Part, facts: Facts, body: str) -> str:
    clauses = [
        f"CREATE {'UNLOGGED ' if facts['unlogged'] else ''}TABLE {part.name} {body}",
        *([f"INHERITS ({', '.join(facts['inherits'])})"] if "inherits" in facts else []),
        *([f"PARTITION BY {facts['partition_key']}"] if "partition_key" in facts else []),
        *([f"USING {facts['access_method']}"] if facts.get("access_method", "heap") != "heap" else []),
        *([f"WITH ({_all_options(facts)})"] if _all_options(facts) else []),
    ]
    return " ".join(clauses)


def _all_options(facts: Facts) -> str:
    own = options(facts.get("options", ()))
    return ", ".join(word for word in (own, options(facts.get("toast_options", ()), "toast.")) if word)


def _told(part: Part, facts: Facts) -> Statements:
    """What a new table is told once it is there."""
    actions = []
    if facts["row_security"]:
        actions.append("ENABLE ROW LEVEL SECURITY")
    if facts["force_row_security"]:
        actions.append("FORCE ROW LEVEL SECURITY")
    if facts.get("replica_identity") in {"full", "nothing"}:
        actions.append(f"REPLICA IDENTITY {facts['replica_identity'].upper()}")
    return (f"ALTER TABLE {part.name} {', '.join(actions)}",) if actions else ()


def altered_table(one: Mismatch, _: Around) -> Statements:
    """A table with other facts, each changed by an action of its own."""
    if not one.changed_facts.isdisjoint({"partition_of", "bound"}):
        return _moved_partition(one)
    steps = [_step(fact, one.expected_facts, one.actual_facts) for fact in sorted(one.changed_facts)]
    if not all(steps):
        return ()
    return tuple(f"ALTER TABLE {one.part.name} {action}" for actions in steps for action in actions)


def _step(fact: str, expected: Facts, actual: Facts) -> list[str]:  # noqa: PLR0911 - one action each
    """The actions for one fact, or none where it is a matter for words."""
    wanted = expected.get(fact)
    match fact:
        case "unlogged":
            return [f"SET {'UNLOGGED' if wanted else 'LOGGED'}"]
        case "row_security":
            return [f"{'ENABLE' if wanted else 'DISABLE'} ROW LEVEL SECURITY"]
        case "force_row_security":
            return [f"{'FORCE' if wanted else 'NO FORCE'} ROW LEVEL SECURITY"]
        case "replica_identity" if wanted != "index":
            return [f"REPLICA IDENTITY {str(wanted or 'default').upper()}"]
        case "options":
            return _option_steps(expected, actual, "options", "")
        case "toast_options":
            return _option_steps(expected, actual, "toast_options", "toast.")
        # What a parent's columns are once INHERIT has run depends on what was there before.
        case "inherits" if not _without(expected, actual, fact):
            return [f"NO INHERIT {name}" for name in _without(actual, expected, fact)]
        case "access_method" if wanted:
            return [f"SET ACCESS METHOD {wanted}"]
        case _:
            return []


def _without(one: Facts, other: Facts, fact: str) -> Iterable[str]:
    there = other.get(fact, ())
    return [value for value in one.get(fact, ()) if value not in there]


def _option_steps(expected: Facts, actual: Facts, fact: str, prefix: str) -> list[str]:
    wanted = {pair.partition("=")[0] for pair in expected.get(fact, ())}
    gone = {pair.partition("=")[0] for pair in actual.get(fact, ())} - wanted
    steps = []
    if gone:
        steps.append(f"RESET ({', '.join(prefix + name for name in sorted(gone))})")
    if new := list(_without(expected, actual, fact)):
        steps.append(f"SET ({options(new, prefix)})")
    return steps


def _moved_partition(one: Mismatch) -> Statements:
    """A table that should be a partition of another table, or of none, or within other bounds."""
    expected, actual = one.expected_facts, one.actual_facts
    if not one.changed_facts <= {"partition_of", "bound"}:
        return ()
    steps = []
    if "partition_of" in actual:
        steps.append(f"ALTER TABLE {actual['partition_of']} DETACH PARTITION {one.part.name}")
    if "partition_of" in expected:
        parent, bound = expected["partition_of"], expected["bound"]
        steps.append(f"ALTER TABLE {parent} ATTACH PARTITION {one.part.name} {bound}")
    return tuple(steps)
