"""A backup that dies with its container is none."""

from pathlib import Path

import pytest

from migrator.backup.lasting import Surroundings, refuse_fleeting
from migrator.backup.stores import FileStore
from migrator.errors import PolicyRefused

ROOT = "22 1 0:21 / / rw,relatime master:1 - {type} {type} rw"
VOLUME = "23 22 8:1 /volumes/x {point} rw,relatime shared:5 - ext4 /dev/sda1 rw"
IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    return tmp_path / "mountinfo"


def surroundings(mountinfo: Path, *lines: str, **others: object) -> Surroundings:
    mountinfo.write_text("".join(f"{line}\n" for line in lines))
    known: dict[str, object] = {"environ": IN_KUBERNETES, "marks": (), "parent": 0, **others}
    return Surroundings(mountinfo=mountinfo, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["overlay", "ext4"])
def test_the_root_of_a_container_is_refused(mountinfo: Path, kind: str) -> None:
    with pytest.raises(PolicyRefused, match=f"/backups would die with this container.*{kind}") as refusal:
        refuse_fleeting(Path("/backups"), surroundings(mountinfo, ROOT.format(type=kind)))
    assert "mount a volume there" in refusal.value.remedy


def test_memory_is_refused(mountinfo: Path) -> None:
    memory = "24 22 0:5 / /backups rw - tmpfs tmpfs rw,size=64k"
    with pytest.raises(PolicyRefused, match="tmpfs"):
        refuse_fleeting(Path("/backups"), surroundings(mountinfo, ROOT.format(type="overlay"), memory))


EMPTY_DIR = (
    "25 22 8:1 /var/lib/kubelet/pods/6b1e/volumes/kubernetes.io~empty-dir/backups /backups rw,relatime - "
    "ext4 /dev/sda1 rw"
)


def test_an_empty_dir_on_the_nodes_disk_is_refused(mountinfo: Path) -> None:
    with pytest.raises(PolicyRefused, match=r"/backups/orders would die with this pod.*emptyDir"):
        refuse_fleeting(
            Path("/backups/orders"), surroundings(mountinfo, ROOT.format(type="overlay"), EMPTY_DIR)
        )


@pytest.mark.parametrize("point", ["/backups", "/my\\040volume"])
def test_a_volume_is_not(mountinfo: Path, point: str) -> None:
    lines = ROOT.format(type="overlay"), VOLUME.format(point=point)
    folder = Path(point.replace("\\040", " ")) / "orders"
    refuse_fleeting(folder, surroundings(mountinfo, *lines))


def test_what_is_mounted_last_counts(mountinfo: Path) -> None:
    memory = "24 22 0:5 / /backups rw - tmpfs tmpfs rw"
    with pytest.raises(PolicyRefused):
        refuse_fleeting(Path("/backups"), surroundings(mountinfo, VOLUME.format(point="/backups"), memory))


def test_a_name_that_only_begins_like_a_volumes_is_not_on_it(mountinfo: Path) -> None:
    lines = ROOT.format(type="overlay"), VOLUME.format(point="/backups")
    with pytest.raises(PolicyRefused):
        refuse_fleeting(Path("/backups-too"), surroundings(mountinfo, *lines))


def test_outside_a_container_nothing_is_refused(mountinfo: Path) -> None:
    refuse_fleeting(Path("/backups"), surroundings(mountinfo, ROOT.format(type="overlay"), environ={}))


@pytest.mark.parametrize("parent", [0, 1])
def test_a_containers_main_process_and_what_it_starts_are_in_a_container(
    mountinfo: Path, tmp_path: Path, parent: int
) -> None:
    found = surroundings(mountinfo, environ={}, marks=(tmp_path,), parent=parent)
    assert found.is_container


def test_a_machine_to_develop_on_may_be_a_container(mountinfo: Path, tmp_path: Path) -> None:
    assert not surroundings(mountinfo, environ={}, marks=(tmp_path,), parent=4711).is_container


@pytest.mark.parametrize("name", ["RAILWAY_ENVIRONMENT", "RAILWAY_ENVIRONMENT_NAME"])
def test_on_railway_every_folder_is_refused(mountinfo: Path, name: str) -> None:
    there = surroundings(mountinfo, VOLUME.format(point="/backups"), environ={name: "production"})
    with pytest.raises(PolicyRefused, match="Railway mounts no volume") as refusal:
        refuse_fleeting(Path("/backups"), there)
    assert "s3://" in refusal.value.remedy


def test_without_the_kernels_word_nothing_is_refused(tmp_path: Path) -> None:
    refuse_fleeting(Path("/backups"), Surroundings(IN_KUBERNETES, mountinfo=tmp_path / "absent"))


def test_a_store_is_looked_at_before_anything_is_written(tmp_path: Path, mountinfo: Path) -> None:
    root = tmp_path / "backups"
    store = FileStore(root / "orders", surroundings(mountinfo, ROOT.format(type="overlay")))
    with pytest.raises(PolicyRefused):
        store.refuse_unusable(0)
    assert not root.exists()
