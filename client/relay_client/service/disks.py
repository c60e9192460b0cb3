"""What a folder stands on: whether what is written there lasts, and whether SQLite can keep its promises on it.

Linux says so in /proc/self/mountinfo; elsewhere only the name of the folder is looked at.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
LAYERS: Final = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs"})
NETWORK: Final = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs",
        "fuse.s3fs", "fuse.rclone", "lustre", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse", "davfs",
    }
)  # fmt: skip
FLEETING: Final = ("/tmp", "/var/tmp", "/private/tmp", "/private/var/tmp", "/dev/shm", "/run")
"""Folders that are emptied at a restart, or by a cleaner of old files."""
MOUNTS: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Disk:
    """What a folder stands on. `kind`: the file system's type, None when unknown; `concern`: why it won't do, or None;
    `loses`: what is written there does not last."""

    kind: str | None
    concern: str | None
    loses: bool = False


def disk_of(folder: Path) -> Disk:
    """The disk of a folder, which need not be there yet."""
    try:
        mounts = MOUNTS.read_text(errors="replace")
    except OSError:
        mounts = ""
    return judge(Path(nearest(folder)).resolve() if not folder.exists() else folder.resolve(), folder, mounts)


def judge(real: Path, folder: Path, mounts: str) -> Disk:
    """What is to be said of `folder`, whose nearest existing folder is `real`, by the text of mountinfo. Pure."""
    kind = kind_of(real, mounts)
    for name in FLEETING:
        if folder.is_relative_to(name) or real.is_relative_to(name):
            return Disk(
                kind, f"it is in {name}, which is emptied at a restart or by a cleaner of old files", loses=True
            )
    if kind in MEMORY:
        return Disk(kind, f"it is on {kind}, which is memory: a restart empties it", loses=True)
    if kind in LAYERS:
        return Disk(kind, f"it is on {kind}, the layer of a container, and goes when the container does", loses=True)
    if kind in NETWORK:
        return Disk(kind, f"it is on {kind}, a network's or a host's disk, where SQLite's log can't be shared safely")
    return Disk(kind, None)


def kind_of(real: Path, mounts: str) -> str | None:
    """The type of the file system that is mounted nearest above `real`; of several on one place, the last."""
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        left, dash, right = line.partition(" - ")
        words = left.split()
        if not dash or len(words) < 5:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[4]))
        if real.is_relative_to(place) and (best is None or len(place.parts) >= best[0]):
            best = (len(place.parts), right.split()[0])
    return None if best is None else best[1]


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    for folder in (path, *path.parents):
        if folder.exists():
            return folder
    return Path("/")
