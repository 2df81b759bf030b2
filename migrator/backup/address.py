"""The database's address as client programs take it: by environment, for everyone can read arguments."""

from migrator.errors import PolicyRefused
from migrator.postgres.keepalives import CLIENT, SERVER_AT_WORK
from migrator.settings import Dsn

# Source: PostgreSQL, "Environment Variables" of libpq.
_LIBPQ_VARIABLES = {
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
# A client program's locks end with its session: the server must notice one that was killed, or that the
# network lost in silence.
WATCHED = " ".join(f"-c {name}={value}" for name, value in SERVER_AT_WORK.items())
# The same for the program itself, which would wait for an answer for two hours. libpq has no variables for
# these; the rest of the address comes from its variables all the same.
KEEPALIVES = " ".join(f"{name}={value}" for name, value in CLIENT.items())
# A dump has a name of its own, and is kept in the encoding of its database.
_NOT_FOR_A_DUMP = frozenset({"client_encoding", "fallback_application_name"})


def dump_variables(dsn: Dsn) -> dict[str, str]:
    """The address by environment: arguments are for everyone to read.

    Raises `PolicyRefused` for a keyword that has no variable: without it, pg_dump would connect differently.
    """
    words = {name: value for name, value in dsn.libpq().items() if name not in _NOT_FOR_A_DUMP}
    if unknown := sorted(words.keys() - _LIBPQ_VARIABLES.keys()):
        raise PolicyRefused(
            f"pg_dump cannot be given {', '.join(unknown)}, which stands in the database's URL",
            remedy="put it into a connection service file (PGSERVICEFILE, ?service=…) instead",
        )
    return {_LIBPQ_VARIABLES[name]: value for name, value in words.items()}
