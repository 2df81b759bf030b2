"""Whether a dump by this role would hold everything."""

from migrator.errors import PolicyRefused
from migrator.postgres.session import Session


def refuse_unreadable(session: Session) -> None:
    """Raise `PolicyRefused` naming tables that a dump by this role would break on or silently cut short."""
    hidden = session.rows(
        """
        SELECT format('%%I.%%I', n.nspname, c.relname),
            c.relrowsecurity AND NOT (
                (pg_has_role(c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)
                OR (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
            )
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'S', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND n.nspname !~ '^pg_(toast|temp)'
            AND (NOT has_schema_privilege(n.oid, 'USAGE')
                OR NOT CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                    ELSE has_table_privilege(c.oid, 'SELECT') END
                OR c.relrowsecurity AND NOT (
                    (pg_has_role(c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)
                    OR (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)))
        ORDER BY 1 LIMIT 20
        """.replace("%%", "%")
    )
    if hidden:
        names = ", ".join(name for name, _ in hidden)
        guarded = any(by_policy for _, by_policy in hidden)
        raise PolicyRefused(
            f"the role cannot read all that a backup must hold: {names}",
            remedy="ALTER ROLE … BYPASSRLS (row-level security hides rows)"
            if guarded
            else "GRANT pg_read_all_data to the role that migrates, or let it own the tables",
        )
