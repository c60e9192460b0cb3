"""disks: what is said of a folder, by the mounts of a machine."""

from pathlib import Path

import pytest

from relay_client.service.disks import disk_of, judge, kind_of, nearest

MOUNTS = r"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /home rw shared:2 - btrfs /dev/vdb rw
24 23 0:22 / /home/ada/ram rw - tmpfs tmpfs rw,size=1024k
25 23 0:23 / /home/ada/with\040blank rw - nfs4 server:/x rw
26 22 0:24 / /layers rw - overlay overlay rw,lowerdir=/a
27 22 0:25 / /home rw shared:2 - xfs /dev/vdc rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind", "concern"),
    [
        ("/srv/relay", "ext4", None),
        ("/home/ada/.local/share/relay", "xfs", None),  # two on one place: the last one is what one sees
        ("/home/ada/ram/relay", "tmpfs", "which is memory: a restart empties it"),
        ("/home/ada/ramble", "xfs", None),
        ("/home/ada/with blank/relay", "nfs4", "a network's or a host's disk, where SQLite's log can't be shared"),
        ("/layers/x", "overlay", "the layer of a container, and goes when the container does"),
        ("/tmp/relay", "ext4", "it is in /tmp, which is emptied at a restart"),
        ("/var/tmp/relay", "ext4", "it is in /var/tmp"),
    ],
)
def test_a_folder_is_judged_by_what_it_stands_on(folder: str, kind: str, concern: str | None) -> None:
    disk = judge(Path(folder), Path(folder), MOUNTS)
    assert disk.kind == kind
    assert (disk.concern is None) if concern is None else (concern in str(disk.concern))


def test_where_no_mounts_are_known_the_name_still_tells() -> None:
    assert kind_of(Path("/srv"), "") is None
    assert judge(Path("/srv"), Path("/srv"), "").concern is None
    assert judge(Path("/private/tmp/x"), Path("/private/tmp/x"), "").loses


def test_a_link_into_a_fleeting_place_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/shm")
    assert "/dev/shm" in str(disk_of(link / "relay").concern) or "/tmp" in str(disk_of(link / "relay").concern)


def test_the_nearest_folder_is_one_that_is_there(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert nearest(tmp_path) == tmp_path
