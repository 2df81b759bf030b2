"""Whether a folder outlives the container it is in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrator.errors import PolicyRefused

_FLEETING = frozenset({"overlay", "aufs", "tmpfs", "ramfs"})
_PLATFORMS = ("KUBERNETES_SERVICE_HOST", "RAILWAY_ENVIRONMENT")
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where this process runs, as its environment and the kernel say it."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    marks: tuple[Path, ...] = _MARKS
    mountinfo: Path = Path("/proc/self/mountinfo")
    parent: int = field(default_factory=os.getppid)

    @property
    def is_container(self) -> bool:
        """Whether this is a deploy in a container that ends with it.

        A machine that develops or tests in a container has the marks too; there we are nobody's main process,
        nor the first thing that it started.
        """
        if any(name.startswith(_PLATFORMS) and value for name, value in self.environ.items()):
            return True
        return self.parent <= 1 and any(mark.exists() for mark in self.marks)


def refuse_fleeting(folder: Path, surroundings: Surroundings) -> None:
    """Raise `PolicyRefused` for a folder that dies with the container we are in."""
    if not surroundings.is_container:
        return
    mount = _mount_of(folder.resolve(), surroundings.mountinfo)
    if mount is not None and (mount[1] in _FLEETING or mount[0] == Path("/")):
        raise PolicyRefused(
            f"backups in {folder} would die with this container: it is on its {mount[1]} file system",
            remedy="mount a volume there, or point MIGRATOR_BACKUP_URL at one",
        )


def _mount_of(folder: Path, mountinfo: Path) -> tuple[Path, str] | None:
    """Mount point and type of the file system a folder is on; of two on one point, the later hides the other.

    Source: proc(5): the mount point is the fifth field, with octal escapes; the type follows a lone hyphen.
    """
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found: tuple[Path, str] | None = None
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        if folder.is_relative_to(point) and (found is None or point.is_relative_to(found[0])):
            found = point, after.split(" ")[0]
    return found


def _unescaped(text: str) -> str:
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, plain)
    return text
