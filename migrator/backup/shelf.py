"""The shelf: which backups of a database there are, by their manifests alone."""

from dataclasses import dataclass

from migrator.backup.manifest import MANIFEST_SUFFIX, Manifest, manifest_name
from migrator.backup.stores import Store
from migrator.errors import BackupFailed


@dataclass(frozen=True, slots=True)
class Found:
    """The manifests that were read, oldest first, and what is wrong with the others."""

    manifests: tuple[Manifest, ...]
    unreadable: tuple[str, ...]


def take_stock_of(store: Store) -> Found:
    """Read every manifest in the store. Raises `BackupFailed` when the store does not answer."""
    manifests, unreadable = [], []
    for name in store.names():
        if not name.endswith(MANIFEST_SUFFIX):
            continue
        try:
            manifests.append(read_manifest(store, name))
        except BackupFailed as error:
            unreadable.append(error.message)
    return Found(tuple(sorted(manifests, key=lambda one: (one.finished, one.file))), tuple(unreadable))


def read_manifest(store: Store, name: str) -> Manifest:
    """Read one manifest. Raises `BackupFailed` if it is none, or names another archive than its own."""
    source = store.location(name)
    manifest = Manifest.decoded(b"".join(store.reading(name)), source)
    if manifest_name(manifest.file) != name:
        raise BackupFailed(f"{source} describes {manifest.file}, which is not the archive beside it")
    return manifest


def remove_backup(store: Store, manifest: Manifest) -> None:
    """Delete a backup, its manifest first: killed in between, an archive without one is rubbish."""
    store.remove(manifest.name)
    store.remove(manifest.file)
