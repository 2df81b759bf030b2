"""What a refused connection means: wait, correct something, or who knows."""

import re
from enum import Enum

import psycopg

# A refused connection carries no SQLSTATE in psycopg 3, so the server's (and PgBouncer's) words must do.
_REFUSED = re.compile(
    r"authentication failed|role \".*\" does not exist|database \".*\" does not exist|no pg_hba\.conf entry"
    r"|is not permitted to log in|permission denied for database|no password supplied|no such database"
    r"|no such user|is not currently accepting connections",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"connection refused|timeout expired|starting up|shutting down|not yet accepting|in recovery"
    r"|could not translate host name|failed to resolve|name resolution|name or service not known"
    r"|too many clients|too many connections|connection slots are reserved|session is read-only|read-write",
    re.IGNORECASE,
)


class Verdict(Enum):
    """What a failed attempt to connect means."""

    PASSING = "worth waiting for"
    REFUSED = "refused"
    UNRECOGNISED = "unrecognised"


def verdict(error: psycopg.OperationalError) -> Verdict:
    """Judge a failed connection. Of several hosts, one that may yet come up decides."""
    text = str(error)
    if _PASSING.search(text) or (error.sqlstate or "").startswith(("08", "53", "57P")):
        return Verdict.PASSING
    return Verdict.REFUSED if _REFUSED.search(text) else Verdict.UNRECOGNISED
