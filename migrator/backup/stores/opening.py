"""From a URL to the store that it names."""

from collections.abc import Callable
from importlib.util import find_spec

from migrator.backup.lasting import Surroundings
from migrator.backup.stores.files import FileStore, folder_name
from migrator.backup.stores.store import Store
from migrator.errors import PolicyRefused, SettingsInvalid
from migrator.settings import Access, Bucket, Folder, Secret, parse_destination


def open_store(
    url: Secret,
    database: str,
    surroundings: Surroundings | None = None,
    *,
    while_waiting: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Store:
    """The store of one database's backups; nothing is written or asked yet.

    `while_waiting` is called several times a second while the network is waited for, and may raise: then
    what was being written is thrown away. `warn` is told what may stay behind.

    Raises `SettingsInvalid` for keys that are missing, `PolicyRefused` for a store this installation cannot
    reach.
    """
    surroundings = surroundings or Surroundings()
    match parse_destination(url.reveal()):
        case Folder(path):
            return FileStore(path / folder_name(database), surroundings)
        case Bucket() as bucket:
            return _bucket(bucket, database, surroundings, while_waiting=while_waiting, warn=warn)


def _bucket(
    bucket: Bucket,
    database: str,
    surroundings: Surroundings,
    *,
    while_waiting: Callable[[], None],
    warn: Callable[[str], None],
) -> Store:
    if find_spec("obstore") is None:
        raise PolicyRefused(
            "backups in a bucket need the package obstore, which is not installed",
            remedy="install migrator with its extra: pip install 'migrator[s3]'",
        )
    # The extra is loaded by whoever needs it: most deploys have nothing to do, and back up nothing.
    from migrator.backup.stores.connection import Connection  # noqa: PLC0415
    from migrator.backup.stores.objects import ObjectStore  # noqa: PLC0415

    try:
        access = Access.from_variables(surroundings.environ, bucket)
    except ValueError as error:
        raise SettingsInvalid((str(error),)) from None
    prefix = "/".join(part for part in (bucket.prefix, folder_name(database)) if part)
    return ObjectStore(Connection(bucket, access), prefix, while_waiting=while_waiting, warn=warn)
