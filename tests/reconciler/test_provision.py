"""Volumes are made for claims and removed with their data, whatever breaks in between."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers.volumes import CLAIMS, CLASSES, VOLUMES, binder, protection, provisioner
from moorage.objects.actions import DeleteVolumeData
from moorage.objects.errors import StatusError
from moorage.objects.metadata import Ref
from moorage.reconciler.apply import Applier
from moorage.reconciler.events import Recorder
from moorage.reconciler.provision import Provisioner
from moorage.volumes.driver import DriverError
from moorage.volumes.simulated import NAME, SimulatedDriver
from tests.controllers.world import World
from tests.reconciler.memory import MemoryClient, StandingClock

CONTROLLERS = (
    binder.CLAIM_CONTROLLER,
    binder.VOLUME_CONTROLLER,
    protection.CLAIM_CONTROLLER,
    protection.VOLUME_CONTROLLER,
    *provisioner.controllers_for([NAME]),
)


class Place:
    """A world, a driver, and all volume rules, run to rest by hand."""

    def __init__(self, loses: float = 0.0, seed: int = 0) -> None:
        clock = StandingClock()
        self.world = World(clock.now())
        self.client = MemoryClient(self.world, loses=loses, seed=seed)
        self.driver = SimulatedDriver()
        recorder = Recorder(self.client, clock)
        self.applier = Applier(self.client, recorder, "test", Provisioner(self.client, {NAME: self.driver}))
        self.now = clock.now()
        waits = {"volumeBindingMode": "WaitForFirstConsumer"}
        for name, more in (("standard", waits), ("now", {}), ("kept", {"reclaimPolicy": "Retain"})):
            made = {"metadata": {"name": name}, "provisioner": NAME, **more}
            self.world.create(CLASSES, made)

    def claim(self, name: str = "c", storage_class: str = "now") -> None:
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": storage_class,
        }
        metadata = {"name": name, "namespace": "default", "finalizers": ["kubernetes.io/pvc-protection"]}
        self.world.create(
            CLAIMS, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
        )

    async def settle(self) -> None:
        for _ in range(60):
            before, lost = self.world.revision, False
            for controller in CONTROLLERS:
                for obj in list(self.world.list(controller.kind)):
                    ref = Ref(controller.kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                    observed = controller.observe(self.world, ref)
                    if observed is not None:
                        outcome = await self.applier.apply(controller.decide(observed, self.now).actions)
                        lost = lost or outcome.error is not None
            if self.world.revision == before and not lost:
                return
        raise AssertionError("the rules do not come to rest")


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_claim_gets_a_volume_of_its_own(place: Place) -> None:
    place.claim()
    await place.settle()
    claim = place.world.objects[CLAIMS, "default", "c"]
    name = f"pvc-{claim['metadata']['uid']}"
    volume = place.world.objects[VOLUMES, "", name]
    assert claim["status"]["phase"] == "Bound"
    assert claim["spec"]["volumeName"] == name
    assert volume["status"]["phase"] == "Bound"
    assert volume["metadata"]["annotations"] == {"pv.kubernetes.io/provisioned-by": NAME}
    assert sorted(volume["metadata"]["finalizers"]) == [
        "external-provisioner.volume.kubernetes.io/finalizer",
        "kubernetes.io/pv-protection",
    ]
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


async def test_a_volume_waits_for_the_node_and_is_tied_to_it(place: Place) -> None:
    place.claim(storage_class="standard")
    await place.settle()
    assert not place.driver.volumes
    node = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "node-1"}}}
    place.world.patch(CLAIMS, "default", "c", node)
    await place.settle()
    (volume,) = place.world.list(VOLUMES)
    assert "node-1" in str(volume["spec"]["nodeAffinity"])


async def test_data_goes_with_the_claim_when_the_policy_says_delete(place: Place) -> None:
    place.claim()
    await place.settle()
    place.world.delete(CLAIMS, "default", "c")
    await place.settle()
    assert not place.world.list(VOLUMES)
    assert not place.driver.volumes
    assert len(place.driver.deleted) == 1


async def test_data_stays_when_the_policy_says_retain(place: Place) -> None:
    place.claim(storage_class="kept")
    await place.settle()
    place.world.delete(CLAIMS, "default", "c")
    await place.settle()
    (volume,) = place.world.list(VOLUMES)
    assert volume["status"]["phase"] == "Released"
    assert len(place.driver.volumes) == 1


async def test_a_policy_changed_in_time_keeps_the_data(place: Place) -> None:
    place.claim()
    await place.settle()
    (volume,) = place.world.list(VOLUMES)
    name = volume["metadata"]["name"]
    place.world.patch(VOLUMES, "", name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    await place.settle()
    place.world.delete(CLAIMS, "default", "c")
    place.world.delete(VOLUMES, "", name)
    await place.settle()
    assert name in place.driver.volumes


async def test_a_stale_wish_deletes_nothing(place: Place) -> None:
    place.claim()
    await place.settle()
    (volume,) = place.world.list(VOLUMES)
    stale: Any = {**volume, "status": {"phase": "Released"}}
    outcome = await place.applier.apply([DeleteVolumeData(NAME, stale)])
    assert isinstance(outcome.error, StatusError)
    assert place.driver.volumes


async def test_a_refusal_for_good_lets_the_scheduler_choose_again(place: Place) -> None:
    place.claim(storage_class="standard")
    node = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "node-1"}}}
    place.world.patch(CLAIMS, "default", "c", node)
    place.driver.failures.append(DriverError("the disk is full", temporary=False))
    await place.settle()
    annotations = place.world.objects[CLAIMS, "default", "c"]["metadata"]["annotations"]
    assert "volume.kubernetes.io/selected-node" not in annotations


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
async def test_lost_answers_change_nothing_about_the_end(seed: int) -> None:
    place = Place(loses=0.3, seed=seed)
    place.claim("a")
    place.claim("b", "kept")
    await place.settle()
    assert len(place.driver.volumes) == 2
    place.world.delete(CLAIMS, "default", "a")
    place.world.delete(CLAIMS, "default", "b")
    await place.settle()
    (volume,) = place.world.list(VOLUMES)
    assert list(place.driver.volumes) == [volume["metadata"]["name"]]
    assert len(place.driver.deleted) == 1
