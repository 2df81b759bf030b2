"""The schema of a database at one moment, as a value."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from migrator.model import VersionTable
from migrator.schema.facts import Facts, Part, Row
from migrator.schema.identity import identified
from migrator.schema.naming import words


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every part of a schema under its name, with its facts; made by `of`."""

    parts: Mapping[Part, Facts]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """Take the rows `(kind, name, facts)` that the queries return; the facts are JSON."""
        return cls(MappingProxyType(dict(_parsed(rows))))

    def changed(self, *, add: Iterable[Row] = (), remove: Iterable[tuple[str, str]] = ()) -> Self:
        """The schema a moment later: parts that came or changed, and the keys of those that went."""
        gone = {Part(*key) for key in remove}
        kept = {part: facts for part, facts in self.parts.items() if part not in gone}
        return type(self)(MappingProxyType({**kept, **dict(_parsed(add))}))

    def without(self, tables: Iterable[VersionTable]) -> Self:
        """Leave out version tables with everything on them; one without a schema in whichever it stands.

        The ledger's schema is never in a snapshot: the queries leave it out.
        """
        names = {(table.schema, table.name) for table in tables}
        gone = {
            part.name for part in self.parts if part.kind == "table" and not names.isdisjoint(_names_of(part))
        }
        return type(self)(
            MappingProxyType(
                {
                    part: facts
                    for part, facts in self.parts.items()
                    if part.name not in gone and facts.get("on") not in gone
                }
            )
        )

    @property
    def fingerprint(self) -> str:
        """A digest in hex: equal for equal schemas, whatever names Postgres generated in them."""
        canonical = [
            (part.kind, part.name, sorted(known.compared.items()))
            for part, known in sorted(identified(self.parts).items())
        ]
        text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _parsed(rows: Iterable[Row]) -> Iterable[tuple[Part, Facts]]:
    return ((Part(kind, name), MappingProxyType(json.loads(facts))) for kind, name, facts in rows)


def _names_of(table: Part) -> set[tuple[str | None, str]]:
    schema, name = words(table.name)
    return {(schema, name), (None, name)}
