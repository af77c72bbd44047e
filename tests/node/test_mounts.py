"""Files of volumes, against the real API in memory: atomic, refreshed, inside their place."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aio.entropy import seeded
from moorage.aio.tasks import Tasks
from moorage.api.authorization import Rbac
from moorage.api.reviews import Reviews
from moorage.api.tokens import Tokens
from moorage.cluster.control_plane import ControlPlane
from moorage.node.mounts import Content, MountProblem, Mounts, prepare_sub_path, write_files
from moorage.node.references import Reference
from moorage.store.memory import MemoryStore


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Place:
    """A control plane, a node's mounts and their clock."""

    def __init__(self, plane: ControlPlane, clock: SetClock, root: Path) -> None:
        self.plane = plane
        self.clock = clock
        self.mounts = Mounts(root / "pods", "n", "172.30.0.1", plane.client, {}, clock)

    async def make(self, kind: str, name: str, **more: Any) -> Any:
        resource = f"{kind.lower()}s"
        obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **more}
        return await self.plane.client.create(resource, obj)

    async def pod(self, *volumes: dict[str, Any]) -> Any:
        named = [{"name": f"v{number}", **volume} for number, volume in enumerate(volumes)]
        containers = [{"name": "c", "image": "i"}]
        return await self.make("Pod", "p", spec={"containers": containers, "volumes": named})

    def read(self, pod: Any, path: str, volume: str = "v0") -> str:
        return (Path(self.mounts.ready[pod["metadata"]["uid"]][volume][0]) / path).read_text()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    clock = SetClock()
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    async with Tasks("test") as tasks:
        plane = ControlPlane(MemoryStore(), clock, seeded(1), tasks)
        await plane.open(6443)
        tokens = Tokens(lambda: private, lambda: public, plane.entropy)
        plane.api.creations.update(Reviews(Rbac(plane.lookup), tokens, clock).creations())
        found = Place(plane, clock, tmp_path)
        await found.make("ServiceAccount", "default", automountServiceAccountToken=False)
        yield found


async def test_a_token_is_replaced_before_it_expires(place: Place) -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
    pod = await place.pod({"projected": {"sources": [source]}})
    await place.mounts.prepare(pod)
    first = place.read(pod, "token")
    due = place.mounts.refresh_in(pod["metadata"]["uid"])
    assert due is not None
    assert 0 < due < 600
    place.clock.seconds += due
    assert place.mounts.refresh_in(pod["metadata"]["uid"]) == 0
    await place.mounts.refresh(pod)
    assert place.read(pod, "token") != first
    assert place.mounts.refresh_in(pod["metadata"]["uid"]) == due


async def test_a_changed_object_changes_just_the_volumes_that_name_it(place: Place) -> None:
    await place.make("ConfigMap", "a", data={"x": "1"})
    await place.make("Secret", "a", data={"x": base64.b64encode(b"2").decode()})
    pod = await place.pod({"configMap": {"name": "a"}}, {"secret": {"secretName": "a"}})
    await place.mounts.prepare(pod)
    before = sorted(path.name for path in Path(place.mounts.ready[pod["metadata"]["uid"]]["v1"][0]).iterdir())
    found = await place.plane.client.get(_target("configmaps", "a"))
    await place.plane.client.update("configmaps", {**found, "data": {"y": "3"}})
    await place.mounts.refresh(pod, Reference("configmaps", "default", "a"))
    assert place.read(pod, "y") == "3"
    assert place.read(pod, "x", "v1") == "2"
    with pytest.raises(FileNotFoundError):
        place.read(pod, "x")
    assert sorted(path.name for path in Path(place.mounts.ready[pod["metadata"]["uid"]]["v1"][0]).iterdir()) == before


def _target(resource: str, name: str) -> Any:
    from moorage.client.client import Target

    return Target(resource, "default", name)


async def test_what_is_missing_is_named_in_kubelets_words(place: Place) -> None:
    pod = await place.pod({"secret": {"secretName": "gone"}})
    with pytest.raises(MountProblem) as refused:
        await place.mounts.prepare(pod)
    assert str(refused.value) == 'MountVolume.SetUp failed for volume "v0" : secret "gone" not found'


async def test_a_bound_path_that_was_there_once_is_not_made_again(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "data"
    modes = {"accessModes": ["ReadWriteOnce"]}
    spec = {**modes, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(path)}}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": spec}
    await place.plane.client.create("persistentvolumes", volume)
    claim = await place.make(
        "PersistentVolumeClaim",
        "c",
        spec={**modes, "volumeName": "v", "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}},
    )
    bound = {**claim, "status": {"phase": "Bound"}}
    await place.plane.client.update("persistentvolumeclaims", bound, subresource="status")
    pod = await place.pod({"persistentVolumeClaim": {"claimName": "c"}})
    await place.mounts.prepare(pod)
    assert path.is_dir()
    path.rmdir()
    with pytest.raises(MountProblem, match="does not exist"):
        await place.mounts.prepare(pod)
    assert not path.exists()


NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"])


@given(rounds=st.lists(st.dictionaries(NAMES, st.binary(max_size=20)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_directory_shows_exactly_the_newest_files(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[str, bytes]]
) -> None:
    directory = tmp_path_factory.mktemp("files")
    for files in rounds:
        write_files(directory, {path: Content(data, 0o640) for path, data in files.items()})
        shown = {
            str(path.relative_to(directory)): path.read_bytes()
            for top in directory.iterdir()
            if not top.name.startswith("..")
            for path in (top.resolve().rglob("*") if top.is_dir() else [top])
            if path.is_file()
            for path in [directory / top.name / path.relative_to(top.resolve()) if top.is_dir() else path]
        }
        assert shown == files
        assert len([each for each in directory.iterdir() if each.name.startswith("..")]) == 2


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_path_that_leaves_the_volume_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(MountProblem, match="must stay inside"):
        write_files(tmp_path, {path: Content(b"x", 0o644)})
    assert not (tmp_path.parent / "up").exists()


def test_a_sub_path_is_made_and_stays_inside(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to(tmp_path)
    prepare_sub_path({"name": "v"}, str(volume), str(volume / "a" / "b"))
    assert (volume / "a" / "b").is_dir()
    for path in ("out", "out/other"):
        with pytest.raises(ValueError, match="leads out"):
            prepare_sub_path({"name": "v"}, str(volume), str(volume / path))
    assert not (tmp_path / "other").exists()
