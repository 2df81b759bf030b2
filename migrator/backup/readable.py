"""Whether a dump by this role would hold everything."""

from collections.abc import Collection
from dataclasses import dataclass

from migrator.errors import PolicyRefused
from migrator.postgres.session import Session

_MOST_NAMED = 20

# A dump locks, and so must be allowed to read, whatever it knows of; it reads rows of tables that are not an
# extension's, and of those that the extension itself declares to hold the user's rows.
_RELATIONS = """
WITH me AS (SELECT rolsuper OR rolbypassrls AS is_above FROM pg_roles WHERE rolname = current_user), it AS (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
        CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind,
        CASE
            WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'schema'
            WHEN NOT CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                ELSE has_table_privilege(c.oid, 'SELECT') END THEN 'privilege'
            WHEN c.relrowsecurity AND NOT me.is_above
                AND NOT (pg_has_role(c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)
                AND NOT EXISTS (
                    SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                    AND NOT c.oid = ANY(coalesce(e.extconfig, '{}'))
                ) THEN 'policy'
        END AS reason
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, me
    WHERE c.relkind IN ('r', 'p', 'S', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname !~ '^pg_(toast|temp)'
)
SELECT kind, name, reason FROM it WHERE reason IS NOT NULL ORDER BY reason <> 'policy', name
"""
_LARGE_OBJECTS = """
SELECT 'large object', oid::text, 'object' FROM pg_largeobject_metadata
WHERE NOT pg_has_role(lomowner, 'USAGE') AND NOT current_setting('lo_compat_privileges')::boolean
    AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    AND NOT EXISTS (
        SELECT FROM aclexplode(lomacl) a WHERE a.privilege_type = 'SELECT'
        AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE'))
    )
ORDER BY oid LIMIT 100
"""
_REMEDIES = {
    "policy": "row-level security would hide rows: ALTER ROLE … BYPASSRLS for the role that migrates",
    "schema": "GRANT pg_read_all_data to the role that migrates, or USAGE on the schema and SELECT in it",
    "privilege": "GRANT pg_read_all_data to the role that migrates, or let it own the tables",
    "object": "GRANT SELECT ON LARGE OBJECT … to the role that migrates, or let it own them",
}


@dataclass(frozen=True, slots=True)
class Hidden:
    """What the role cannot read all of; `reason` is policy, schema, privilege, or object."""

    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        """Name it with its kind."""
        return self.name if self.kind == "table" else f"{self.kind} {self.name}"


def hidden_from_dump(session: Session, left_out: Collection[str] = ()) -> tuple[Hidden, ...]:
    """What a dump by this role would break on or silently cut short.

    Rows of the tables that are left out need not be seen, but the tables must be.
    """
    found = [Hidden(*row) for row in (*session.rows(_RELATIONS), *session.rows(_LARGE_OBJECTS))]
    return tuple(one for one in found if not (one.reason == "policy" and one.name in left_out))


def refuse_unreadable(session: Session, left_out: Collection[str] = ()) -> None:
    """Raise `PolicyRefused` naming what is hidden from a dump by this role."""
    hidden = hidden_from_dump(session, left_out)
    if not hidden:
        return
    more = f" and {len(hidden) - _MOST_NAMED} more" if len(hidden) > _MOST_NAMED else ""
    reasons = dict.fromkeys(one.reason for one in hidden)
    raise PolicyRefused(
        "the role cannot read all that a backup must hold: "
        f"{', '.join(map(str, hidden[:_MOST_NAMED]))}{more}",
        remedy="; ".join(_REMEDIES[one] for one in reasons),
        unreadable=[str(one) for one in hidden[:100]],
    )
