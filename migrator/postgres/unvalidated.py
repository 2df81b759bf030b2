"""Constraints that are NOT VALID: new rows are checked, those that were there before never have been."""

from dataclasses import dataclass

from migrator.postgres.catalog import quoted
from migrator.postgres.session import Session


@dataclass(frozen=True, slots=True, order=True)
class UnvalidatedConstraint:
    """A constraint of a table or a domain that was added NOT VALID and never validated."""

    schema: str
    name: str
    table: str  # or the domain
    is_domains: bool = False

    def __str__(self) -> str:
        """Name it with its table."""
        return f"{self.name} on {self.schema}.{self.table}"

    @property
    def validate_statement(self) -> str:
        """The SQL that checks the old rows, while the app reads and writes."""
        kind = "DOMAIN" if self.is_domains else "TABLE"
        owner = f"{quoted(self.schema)}.{quoted(self.table)}"
        return f"ALTER {kind} {owner} VALIDATE CONSTRAINT {quoted(self.name)}"


def unvalidated_constraints(session: Session) -> frozenset[UnvalidatedConstraint]:
    """Those to be validated; what partitions and children inherit is validated with its parent's."""
    rows = session.rows(
        """
        SELECT n.nspname, c.conname, coalesce(r.relname, t.typname), c.contypid <> 0
        FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
        LEFT JOIN pg_class r ON r.oid = c.conrelid LEFT JOIN pg_type t ON t.oid = c.contypid
        WHERE NOT c.convalidated AND n.nspname !~ '^pg_temp'
        -- PostgreSQL 18: what is NOT ENFORCED is not meant to hold, and cannot be validated.
        AND coalesce(to_jsonb(c) ->> 'conenforced', 'true') = 'true'
        AND c.conparentid = 0 AND (c.conislocal OR c.coninhcount = 0)
        """
    )
    return frozenset(UnvalidatedConstraint(*row) for row in rows)
