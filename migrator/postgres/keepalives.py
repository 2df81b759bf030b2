"""How soon it is noticed that the other side is gone: killed, or behind a network that died in silence.

Source: PostgreSQL, "Database Connection Control Functions" and "TCP Settings"; an ordinary role may set all.
"""

from typing import Any, Final

# For the client's end of a session, as libpq takes them.
CLIENT: Final[dict[str, Any]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# The same for the server's, which would keep a lost client's session, and its locks, for two hours.
SERVER: Final = {f"tcp_{name.removeprefix('tcp_')}": str(value) for name, value in CLIENT.items()}
# A client that was killed in the middle of a statement is noticed as well, within a second.
SERVER_AT_WORK: Final = {"client_connection_check_interval": "1000", **SERVER}
# A session that does nothing for long is not ended, whatever the server's configuration says.
UNENDING: Final = {"idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0"}
