"""The termination message: what `kubectl describe pod` shows of a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Source: Kubernetes, "Determine the Reason for Pod Failure": the kubelet keeps 4096 bytes per container.
_LIMIT_BYTES = 4096
_DEFAULT = Path("/dev/termination-log")
_KEPT = ("outcome", "exit_code", "exit_name", "error", "remedy", "heads_before", "heads_after", "run_id")


def write_termination_message(path: Path | None, last_event: Mapping[str, Any]) -> None:
    """Write one line of JSON that fits; a path that cannot be written changes nothing."""
    if path is None and not _DEFAULT.exists():
        return
    try:
        (path or _DEFAULT).write_bytes(termination_message(last_event))
    except OSError:
        return


def termination_message(last_event: Mapping[str, Any]) -> bytes:
    """The line, at most 4096 bytes; the longest text gives way first."""
    kept = {name: last_event[name] for name in _KEPT if last_event.get(name) not in (None, "", [])}
    line = _encoded(kept)
    while len(line) > _LIMIT_BYTES:
        longest = max(kept, key=lambda name: len(_encoded({name: kept[name]})))
        value = kept[longest]
        kept[longest] = f"{value[: len(value) // 2]}…" if isinstance(value, str) else f"{len(value)} left out"
        line = _encoded(kept)
    return line


def _encoded(kept: Mapping[str, Any]) -> bytes:
    # Half of a character, from bytes that were not UTF-8, is written as JSON's own escape.
    return json.dumps(kept, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
