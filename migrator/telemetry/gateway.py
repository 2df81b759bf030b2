"""Whether a Pushgateway is there, asked without pushing anything."""

import http.client
import threading
from base64 import b64encode
from urllib.parse import unquote, urlsplit


def ask(url: str, seconds: float) -> int:
    """The status of its answer to `GET /-/ready`. Raises `OSError`, in time, whatever it does instead."""
    found: list[int] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            found.append(_get(url, seconds))
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="pushgateway", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise OSError(f"no answer within {seconds:g} s")
    if failures:
        raise OSError(str(failures[0])) from failures[0]
    return found[0]


def _get(url: str, seconds: float) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {}
    if parts.username:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(account.encode()).decode()}"
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/-/ready", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
