"""What a restored database lacks of what its manifest says."""

from dataclasses import dataclass

from migrator.backup.contents import checksums, large_objects, row_counts
from migrator.backup.manifest import Manifest, TableContents
from migrator.model import VersionTable
from migrator.postgres.catalog import read_version_rows
from migrator.postgres.session import Session
from migrator.schema.naming import words
from migrator.schema.reading import read_snapshot

_TOLD = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a restored database differs from its manifest, and what could not be compared."""

    contents: tuple[str, ...]  # of version rows, tables and large objects
    schema: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def differences(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.contents, *self.schema)


def compare(session: Session, manifest: Manifest) -> Comparison:
    """Count, sum up and read the restored database. Raises our errors."""
    unknown = [] if manifest.version_rows else ["version rows"]
    unknown += [] if manifest.tables else ["rows of tables"]
    schema: tuple[str, ...] = ()
    if manifest.fingerprint is None:
        unknown.append("the schema")
    elif _major(manifest) != session.server_version // 10000:
        unknown.append("the schema, which PostgreSQL prints otherwise in another major version")
    elif read_snapshot(session).fingerprint != manifest.fingerprint:
        schema = ("the schema's fingerprint is another one",)
    contents = (*_version_rows(session, manifest), *_tables(session, manifest), *_objects(session, manifest))
    return Comparison(contents, schema, tuple(unknown))


def version_tables(manifest: Manifest) -> tuple[VersionTable, ...]:
    """The version tables that were there."""
    return tuple(map(_table, manifest.version_rows))


def _major(manifest: Manifest) -> int:
    return int(manifest.server_version.partition(".")[0])


def _version_rows(session: Session, manifest: Manifest) -> list[str]:
    all_rows = manifest.version_rows.values()
    expected = {
        table: frozenset(rows) for table, rows in zip(version_tables(manifest), all_rows, strict=True)
    }
    found = {one.table: one.rows for one in read_version_rows(session, expected)}
    return [
        f"{table} has {', '.join(sorted(found.get(table, ()))) or 'no row'}, not {', '.join(sorted(rows))}"
        for table, rows in expected.items()
        if found.get(table, frozenset()) != rows
    ]


def _table(name: str) -> VersionTable:
    *schema, table = words(name)
    return VersionTable(table, schema[0] if schema else None)


def _tables(session: Session, manifest: Manifest) -> list[str]:
    expected = {name: one for name, one in manifest.tables.items() if name not in manifest.missing}
    summed = [name for name, one in expected.items() if one.checksum is not None]
    found = row_counts(session, expected.keys() - set(summed)) | checksums(session, summed)
    wrong = [_said(name, one, found[name]) for name, one in expected.items() if one != found[name]]
    return wrong if len(wrong) <= _TOLD else [*wrong[:_TOLD], f"and {len(wrong) - _TOLD} more tables"]


def _said(name: str, expected: TableContents, found: TableContents) -> str:
    if expected.rows != found.rows:
        return f"{name} has {found.rows} rows, not {expected.rows}"
    return f"{name} holds other values than it did"


def _objects(session: Session, manifest: Manifest) -> list[str]:
    if manifest.format == 1:
        return []
    if manifest.large_objects_checksum is None:
        found = session.value("SELECT count(*) FROM pg_largeobject_metadata")
        return (
            [f"{found} large objects, not {manifest.large_objects}"]
            if found != manifest.large_objects
            else []
        )
    contents = large_objects(session)
    if contents == TableContents(manifest.large_objects, manifest.large_objects_checksum):
        return []
    return [f"{contents.rows} large objects of {manifest.large_objects}, or with other bytes"]
