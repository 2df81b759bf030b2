"""An archive's table of contents: what it holds, and whose it is."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass

from migrator.backup.archive import Archive
from migrator.backup.client import Client
from migrator.backup.program import running

_PUBLIC = re.compile(r"\d+; \d+ \d+ (?:(SCHEMA - )|COMMENT - SCHEMA |ACL - SCHEMA )public ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list, as `pg_restore --use-list` takes it back."""

    line: str
    owner: str  # empty where it belongs to nobody, such as an extension

    @property
    def is_about_public(self) -> bool:
        """Whether it is the schema `public`, which every new database has already, or what is said of it."""
        return _PUBLIC.match(self.line) is not None

    @property
    def is_public_itself(self) -> bool:
        """Whether it is the schema `public`: all there is to restore of it is its owner."""
        found = _PUBLIC.match(self.line)
        return found is not None and found[1] is not None


def listed(
    archive: Archive, client: Client, roles: Collection[str], keep_going: Callable[[], None]
) -> tuple[Entry, ...]:
    """What the archive holds; `roles` are those there are. Raises `BackupFailed` for what is no archive.

    A line ends with the owner and says nowhere where his name begins: the longest known name it ends with is
    his, and of a role that is not there the last word.
    """
    known = sorted(roles, key=len, reverse=True)
    return tuple(
        Entry(line, next((role for role in known if line.endswith(f" {role}")), line.rpartition(" ")[2]))
        for line in _lines(archive, client, keep_going)
    )


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
        lines = listing.read().decode(errors="surrogateescape").splitlines()
    return [line for line in lines if line and not line.startswith(";")]
