"""A named point in the write-ahead log, for those who archive it: a second net that costs nothing."""

from collections.abc import Sequence

from migrator.clock import STOPS
from migrator.errors import MigratorError
from migrator.model import RevisionId
from migrator.postgres.session import Session

# Source: PostgreSQL keeps less than 64 bytes (`MAXFNAMELEN`) of a restore point's name.
_NAME_BYTES = 63


def mark_restore_point(session: Session, heads: Sequence[RevisionId], run_id: str) -> str | None:
    """Write one, in the transaction that is open, and return its name.

    None where the role may not, or the server keeps no log to restore to it: nobody asked for one.
    """
    allowed = session.value(
        "SELECT has_function_privilege('pg_create_restore_point(text)', 'EXECUTE') "
        "AND current_setting('wal_level') <> 'minimal'"
    )
    if not allowed:
        return None
    name = restore_point_name(heads, run_id)
    session.rows("SAVEPOINT restore_point")
    try:
        session.rows("SELECT pg_create_restore_point(%s)", [name])
    except STOPS:
        raise
    except MigratorError:
        session.rows("ROLLBACK TO restore_point")
        return None
    return name


def restore_point_name(heads: Sequence[RevisionId], run_id: str) -> str:
    """`migrator <from>-<run>`, in as many bytes as Postgres keeps."""
    run = run_id[:8]
    room = _NAME_BYTES - len(f"migrator -{run}")
    start = ("+".join(heads) or "empty").encode()[:room].decode(errors="ignore")
    return f"migrator {start}-{run}"
