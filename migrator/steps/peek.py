"""Peek: look at the database without waiting for anybody, and without taking what is hidden for absent."""

from migrator.history.release import Release
from migrator.history.sight import Seen, look
from migrator.postgres.glance import refuse_hidden, refuse_locked
from migrator.postgres.session import Session


def peek(session: Session, release: Release) -> Seen:
    """Look at all that is known without running `env.py`.

    Raises:
        AccessDenied: a version table stands in a schema that our role may not use.
        DatabaseUnavailable: somebody changes the version table itself.
    """
    certain = release.named_table or release.static_table
    refuse_locked(session, [certain] if certain else [])
    seen = look(session, release)
    refuse_hidden(session, [one.table for one in seen.rows if not one.exists])
    return seen
