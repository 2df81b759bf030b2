"""An archive's table of contents: who owns what it holds."""

import subprocess
import tempfile
from collections.abc import Callable, Collection

from migrator.backup.archive import Archive
from migrator.backup.client import Client
from migrator.backup.program import running


def owners_in(
    archive: Archive, client: Client, roles: Collection[str], keep_going: Callable[[], None]
) -> tuple[str, ...]:
    """The roles that the archive's objects belong to; `roles` are those there are.

    A line ends with the owner and says nowhere where his name begins: the longest known name it ends with is
    his, and of a role that is not there the last word. Raises `BackupFailed` for what is no archive.
    """
    known = sorted(roles, key=len, reverse=True)
    found = set()
    for line in _lines(archive, client, keep_going):
        owner = next((role for role in known if line.endswith(f" {role}")), line.rpartition(" ")[2])
        found.add(owner)
    return tuple(sorted(found - {""}))


def _lines(archive: Archive, client: Client, keep_going: Callable[[], None]) -> list[str]:
    """The entries; the list is at the front, so the rest is not read."""
    with tempfile.TemporaryFile() as listing:
        with running(
            [client.pg_restore, "--list"], {"LC_ALL": "C"}, stdin=subprocess.PIPE, stdout=listing
        ) as child:
            for chunk in archive.chunks():
                keep_going()
                if not child.feed(chunk):
                    break
            child.feed(None)
            child.must_have_succeeded()
        listing.seek(0)
        lines = listing.read().decode(errors="replace").splitlines()
    return [line for line in lines if line and not line.startswith(";")]
