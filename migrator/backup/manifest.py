"""The manifest: written last, beside the archive; an archive without one is rubbish."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from migrator.errors import BackupFailed
from migrator.model import RevisionId

FORMAT = 2
ARCHIVE_SUFFIX = ".dump"
MANIFEST_SUFFIX = ".manifest.json"


@dataclass(frozen=True, slots=True)
class TableContents:
    """What the archive holds of one table; `checksum` only where the backup was proven by restoring it."""

    rows: int
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """What `CREATE DATABASE` and its owner made of the database, which no dump of its content holds."""

    owner: str
    options: str  # encoding and collation, as `CREATE DATABASE` takes them
    settings: tuple[tuple[str, str], ...] = ()  # ALTER DATABASE … SET
    privileges: tuple[str, ...] = ()  # GRANT … ON DATABASE, as `datacl` says them


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds and how it was proven. Sizes are bytes, times UTC, digests SHA-256 in hex.

    Format 1, of releases before this one, knew no `rows` of tables: there `tables` is empty.
    """

    file: str
    database: str
    database_id: str = ""  # which database of which server, by its name
    version_rows: Mapping[str, tuple[RevisionId, ...]] = field(default_factory=dict)  # by version table
    heads: tuple[RevisionId, ...] = ()
    fingerprint: str | None = None  # of the schema, as the dump saw it
    tables: Mapping[str, TableContents] = field(default_factory=dict)  # by `schema.name`, quoted where needed
    large_objects: int = 0
    large_objects_checksum: str | None = (
        None  # of all they hold; only where the backup is proven by a restore
    )
    missing: tuple[str, ...] = ()  # tables whose rows were left out on purpose: then the backup is partial
    lsn: str | None = None
    restore_point: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)  # name and version
    creation: Creation | None = None
    database_size_bytes: int = 0
    server_version: str
    client_version: str
    compression: str = ""
    size_bytes: int  # as stored
    sha256: str  # of the bytes as stored
    plain_sha256: str = ""  # of what pg_dump wrote: the same, unless it was encrypted
    encryption: str | None = None  # none yet; a reader refuses a scheme that it does not know
    run_id: str
    app: str
    release: str
    started: datetime
    finished: datetime
    verified: str  # `archive` or `restore`
    format: int = FORMAT

    @property
    def is_partial(self) -> bool:
        """Whether rows were left out."""
        return bool(self.missing)

    @property
    def name(self) -> str:
        """The manifest's own file name."""
        return manifest_name(self.file)

    def encoded(self) -> bytes:
        """The file's content."""
        return json.dumps(asdict(self), indent=2, default=_iso, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decoded(cls, content: bytes, source: str) -> Self:
        """Read a manifest of this release, an older, or a newer one: what it does not say is unknown.

        Raises `BackupFailed` for what is no manifest; `source` says where it was found.
        """
        try:
            facts = json.loads(content)
            known = {one.name for one in fields(cls)}
            facts["heads"] = facts.get("heads") or facts.pop("heads_before", ())
            if facts.get("format") == 1:
                facts.pop("tables", None)
            return cls(**_typed({name: value for name, value in facts.items() if name in known}))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise BackupFailed(
                f"{source} is not a manifest of ours: {error}",
                remedy="restore another one, and move this file elsewhere",
            ) from error


def manifest_name(archive: str) -> str:
    """The name of the manifest beside an archive."""
    return archive.removesuffix(ARCHIVE_SUFFIX) + MANIFEST_SUFFIX


def _typed(facts: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists and strings as the values they stand for."""
    facts = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
    for name in ("started", "finished"):
        facts[name] = datetime.fromisoformat(facts[name])
    facts["version_rows"] = {table: tuple(rows) for table, rows in facts.get("version_rows", {}).items()}
    facts["tables"] = {table: TableContents(**one) for table, one in facts.get("tables", {}).items()}
    if made := facts.get("creation"):
        settings = tuple((name, value) for name, value in made["settings"])
        facts["creation"] = Creation(made["owner"], made["options"], settings, tuple(made["privileges"]))
    return facts


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a manifest cannot hold {type(value).__name__}")
