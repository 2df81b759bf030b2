"""Which backup is meant."""

from collections.abc import Callable

from migrator.backup.manifest import ARCHIVE_SUFFIX, Manifest
from migrator.backup.shelf import Found
from migrator.errors import RecoveryFailed

_LISTED = 5
_NOTHING = "nothing was swapped"


def choose(found: Found, word: str, location: Callable[[str], str], *, database_id: str) -> Manifest:
    """The one of this name or location, whose name begins so, or the `latest`. Raises `RecoveryFailed`.

    `location` says where a file is. Another server's database of the same name may share the place: only who
    names its backup means it, so the `latest` is one of the database with this identity.
    """
    if not found.manifests:
        unreadable = f"; not readable: {'; '.join(found.unreadable)}" if found.unreadable else ""
        raise RecoveryFailed(
            f"{_NOTHING}: there is no backup of this database in {location('')}{unreadable}",
            remedy="see that MIGRATOR_BACKUP_URL and the database's name are those of the backups",
        )
    if word == "latest":
        return _latest(found, database_id)
    for one in found.manifests:
        if word in {one.file, one.file.removesuffix(ARCHIVE_SUFFIX), one.name, location(one.file)}:
            return one
    begun = [one for one in found.manifests if word and one.file.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise RecoveryFailed(
            f"{_NOTHING}: several backups begin with {word}: {_listed(begun)}", remedy="give more of its name"
        )
    raise RecoveryFailed(
        f"{_NOTHING}: there is no backup {word!r}; there are: {_listed(found.manifests)}",
        remedy="name one of these, or `latest`",
    )


def _latest(found: Found, database_id: str) -> Manifest:
    ours = [one for one in found.manifests if one.database_id == database_id]
    if ours:
        return ours[-1]
    raise RecoveryFailed(
        f"{_NOTHING}: no backup there is was taken of this very database, but of one on another server or "
        f"with another name: {_listed(found.manifests)}",
        remedy="if one of them is meant, give its name in place of `latest`",
    )


def _listed(manifests: tuple[Manifest, ...] | list[Manifest]) -> str:
    """The newest of them."""
    more = f" and {len(manifests) - _LISTED} older" if len(manifests) > _LISTED else ""
    return ", ".join(one.file for one in reversed(manifests[-_LISTED:])) + more
