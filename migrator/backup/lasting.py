"""Whether a folder outlives the container it is in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrator.errors import PolicyRefused

_FLEETING = frozenset({"overlay", "aufs", "tmpfs", "ramfs"})
# The folder of the node that the kubelet makes an emptyDir of, whatever the node's disk is.
_EMPTY_DIR = "/volumes/kubernetes.io~empty-dir/"
_RAILWAY = "RAILWAY_ENVIRONMENT"
_PLATFORMS = ("KUBERNETES_SERVICE_HOST", _RAILWAY)
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


@dataclass(frozen=True, slots=True)
class _Mount:
    """A file system, where it is mounted, and which folder of it that is."""

    point: Path
    kind: str
    root: str

    @property
    def dies(self) -> str | None:
        """What it dies with, unless it lasts."""
        if _EMPTY_DIR in self.root:
            return "this pod: it is on an emptyDir"
        if self.kind in _FLEETING or self.point == Path("/"):
            return f"this container: it is on its {self.kind} file system"
        return None


def refuse_fleeting(folder: Path, surroundings: Surroundings) -> None:
    """Raise `PolicyRefused` for a folder that dies with the container or pod we are in."""
    if any(name.startswith(_RAILWAY) and value for name, value in surroundings.environ.items()):
        raise PolicyRefused(
            f"backups in {folder} would die with this deployment: Railway mounts no volume before a deploy",
            remedy="point MIGRATOR_BACKUP_URL at a bucket: s3://bucket/prefix",
        )
    if not surroundings.is_container:
        return
    mount = _mount_of(folder.resolve(), surroundings.mountinfo)
    if mount is not None and mount.dies is not None:
        raise PolicyRefused(
            f"backups in {folder} would die with {mount.dies}",
            remedy="mount a volume there, or point MIGRATOR_BACKUP_URL at one or at a bucket (s3://…)",
        )


def _mount_of(folder: Path, mountinfo: Path) -> _Mount | None:
    """The mount a folder is on; of two on one point, the later hides the other.

    Source: proc(5): root and mount point are the fourth and fifth field, with octal escapes; the type follows
    a lone hyphen.
    """
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found: _Mount | None = None
    for line in lines:
        before, _, after = line.partition(" - ")
        root, point = before.split(" ")[3:5]
        mount = _Mount(Path(_unescaped(point)), after.split(" ")[0], _unescaped(root))
        if folder.is_relative_to(mount.point) and (found is None or mount.point.is_relative_to(found.point)):
            found = mount
    return found


def _unescaped(text: str) -> str:
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, plain)
    return text
