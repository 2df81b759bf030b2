"""The manifest: written last, beside the archive; an archive without one is rubbish."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds and how it was proven. Sizes are bytes, times UTC."""

    file: str
    database: str
    heads_before: tuple[str, ...]
    server_version: str
    client_version: str
    size_bytes: int
    sha256: str
    tables: int
    run_id: str
    app: str
    release: str
    started: datetime
    finished: datetime
    verified: str
    format: int = FORMAT

    def encoded(self) -> bytes:
        """The file's content."""
        return json.dumps(asdict(self), indent=2, default=_iso, ensure_ascii=False).encode() + b"\n"


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a manifest cannot hold {type(value).__name__}")
