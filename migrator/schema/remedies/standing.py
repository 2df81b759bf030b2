"""SQL that makes what stands on a table: constraints, indexes, triggers, rules, policies, statistics."""

from migrator.schema.facts import Facts, Part
from migrator.schema.remedies.words import Around, Statements, last_word, short_name


def made_constraint(part: Part, facts: Facts, _: Around) -> Statements:
    """A constraint; for storage options there is no place in what Postgres prints of it."""
    if not facts.keys().isdisjoint({"options", "attached", "invalid"}):
        return ()
    holder = "DOMAIN" if "domain" in facts else "TABLE"
    name = short_name(part, facts)
    return (f"ALTER {holder} {facts['on']} ADD CONSTRAINT {name} {facts['definition']}", *_marks(name, facts))


def made_index(part: Part, facts: Facts, around: Around) -> Statements:
    """An index, made without blocking anybody; a partitioned table's cannot be."""
    if not facts.keys().isdisjoint({"attached", "invalid"}):
        return ()
    unique = "UNIQUE " if facts["unique"] else ""
    concurrently = "" if is_partitioned(around) else "CONCURRENTLY "
    create = (
        f"CREATE {unique}INDEX {concurrently}{last_word(part.name)} ON {facts['on']} {facts['definition']}"
    )
    return (create, *_marks(last_word(part.name), facts))


def is_partitioned(around: Around) -> bool:
    """Whether the table these parts stand on is partitioned."""
    return any("partition_key" in facts for part, facts in around.items() if part.kind == "table")


def _marks(index: str, facts: Facts) -> Statements:
    marks = []
    if facts.get("clustered"):
        marks.append(f"ALTER TABLE {facts['on']} CLUSTER ON {index}")
    if facts.get("replica_identity"):
        marks.append(f"ALTER TABLE {facts['on']} REPLICA IDENTITY USING INDEX {index}")
    return tuple(marks)


def made_trigger(part: Part, facts: Facts, _: Around) -> Statements:
    """A trigger or rule as Postgres prints it, and whether it fires."""
    if "attached" in facts:
        return ()
    made = (str(facts["definition"]),)
    return made if facts["enabled"] == "ENABLE" else (*made, enabled(part, facts))


def enabled(part: Part, facts: Facts) -> str:
    """Say when a trigger or rule fires."""
    return f"ALTER TABLE {facts['on']} {facts['enabled']} {part.kind.upper()} {short_name(part, facts)}"


def made_policy(part: Part, facts: Facts, _: Around) -> Statements:
    """A policy of row-level security."""
    words = [
        f"CREATE POLICY {short_name(part, facts)} ON {facts['on']}",
        "AS PERMISSIVE" if facts["permissive"] else "AS RESTRICTIVE",
        f"FOR {facts['command']} TO {', '.join(facts['roles'])}",
    ]
    if "using" in facts:
        words.append(f"USING ({facts['using']})")
    if "check" in facts:
        words.append(f"WITH CHECK ({facts['check']})")
    return (" ".join(words),)


def made_statistics(part: Part, facts: Facts, _: Around) -> Statements:
    """Extended statistics."""
    return (f"CREATE STATISTICS {part.name} {facts['definition']}",)
