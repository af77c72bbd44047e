"""Claims and volumes find each other as upstream's do."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.controllers.volumes import CLAIMS, CLASSES, VOLUMES, binder, protection
from moorage.objects.volumes import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE, STORAGE_PROVISIONER
from tests.controllers.settling import settle
from tests.controllers.world import World

BINDER = (binder.CLAIM_CONTROLLER, binder.VOLUME_CONTROLLER)
ALL = (*BINDER, protection.CLAIM_CONTROLLER, protection.VOLUME_CONTROLLER)


@pytest.fixture
def world() -> World:
    return World(datetime(2026, 1, 1, tzinfo=UTC))


def volume(world: World, name: str, size: str = "5Gi", **spec: Any) -> None:
    whole = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "slow",
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/mnt/data"},
        **spec,
    }
    world.create(VOLUMES, {"metadata": {"name": name}, "spec": whole})


def claim(world: World, name: str = "c", size: str = "1Gi", **spec: Any) -> None:
    whole = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": "slow",
        **spec,
    }
    world.create(CLAIMS, {"metadata": {"name": name, "namespace": "default"}, "spec": whole})


def storage_class(world: World, name: str, provisioner: str = "example.com/ext", **more: Any) -> None:
    world.create(CLASSES, {"metadata": {"name": name}, "provisioner": provisioner, **more})


def state(world: World, name: str = "c") -> tuple[str, str | None]:
    found = world.objects[CLAIMS, "default", name]
    return found["status"]["phase"], found["spec"].get("volumeName")


def phase(world: World, name: str) -> str:
    return str(world.objects[VOLUMES, "", name]["status"]["phase"])


def test_the_smallest_volume_that_fits_is_bound(world: World) -> None:
    for name, size in (("a", "10Gi"), ("b", "5Gi"), ("d", "20Gi"), ("e", "1Gi")):
        volume(world, name, size)
    settle(world, BINDER)
    claim(world, size="4Gi")
    settle(world, BINDER)
    bound = world.objects[CLAIMS, "default", "c"]
    assert bound["spec"]["volumeName"] == "b"
    assert bound["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}}
    assert bound["metadata"]["annotations"] == {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
    chosen = world.objects[VOLUMES, "", "b"]
    assert chosen["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
    assert chosen["metadata"]["annotations"] == {BOUND_BY_CONTROLLER: "yes"}
    assert [phase(world, name) for name in "abde"] == ["Available", "Bound", "Available", "Available"]


def test_a_volume_reserved_for_the_claim_comes_first(world: World) -> None:
    volume(world, "a")
    volume(world, "b", "50Gi", claimRef={"namespace": "default", "name": "c"})
    claim(world)
    settle(world, BINDER)
    assert state(world) == ("Bound", "b")
    assert BOUND_BY_CONTROLLER not in world.objects[VOLUMES, "", "b"]["metadata"].get("annotations", {})


def test_a_volume_reserved_for_another_claim_is_left_alone(world: World) -> None:
    volume(world, "a", claimRef={"namespace": "default", "name": "other"})
    claim(world)
    settle(world, BINDER)
    assert state(world) == ("Pending", None)
    assert phase(world, "a") == "Available"


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ({"volumeMode": "Block"}, {}),
        ({"accessModes": ["ReadWriteMany"]}, {}),
        ({"storageClassName": ""}, {}),
        ({"selector": {"matchLabels": {"t": "z"}}}, {}),
        ({}, {"storageClassName": "other"}),
    ],
)
def test_what_does_not_suit_is_not_bound(world: World, wanted: Any, offered: Any) -> None:
    volume(world, "a", **offered)
    claim(world, **wanted)
    settle(world, BINDER)
    assert state(world) == ("Pending", None)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"size": "9Gi"}, 'Cannot bind to requested volume "a": requested PV is too small'),
        ({"storageClassName": "x"}, 'Cannot bind to requested volume "a": storageClassName does not match'),
        ({"volumeMode": "Block"}, 'Cannot bind to requested volume "a": incompatible volumeMode'),
        ({"accessModes": ["ReadWriteMany"]}, 'Cannot bind to requested volume "a": incompatible accessMode'),
    ],
)
def test_a_named_volume_that_does_not_suit_is_told(world: World, wanted: Any, told: str) -> None:
    volume(world, "a")
    claim(world, volumeName="a", **wanted)
    settle(world, BINDER)
    assert state(world) == ("Pending", "a")
    assert set(world.events) == {told}


def test_a_named_volume_is_bound_and_a_taken_one_is_told(world: World) -> None:
    volume(world, "a")
    claim(world, "first", volumeName="a")
    settle(world, BINDER)
    assert BOUND_BY_CONTROLLER not in world.objects[CLAIMS, "default", "first"]["metadata"]["annotations"]
    claim(world, volumeName="a")
    settle(world, BINDER)
    assert state(world, "first") == ("Bound", "a")
    assert state(world) == ("Pending", "a")
    assert set(world.events) == {'volume "a" already bound to a different claim.'}


def test_without_class_and_volume_the_claim_is_told_so(world: World) -> None:
    claim(world, storageClassName="")
    settle(world, BINDER)
    assert set(world.events) == {"no persistent volumes available for this claim and no storage class is set"}


def test_a_missing_class_and_one_without_provisioner_are_told(world: World) -> None:
    claim(world)
    settle(world, BINDER)
    assert set(world.events) == {'storageclass.storage.k8s.io "slow" not found'}
    world.events.clear()
    storage_class(world, "slow", "kubernetes.io/no-provisioner")
    settle(world, BINDER)
    assert set(world.events) == {"no volume plugin matched name: kubernetes.io/no-provisioner"}


def test_the_provisioner_of_the_class_is_asked(world: World) -> None:
    storage_class(world, "slow")
    claim(world)
    settle(world, BINDER)
    assert world.objects[CLAIMS, "default", "c"]["metadata"]["annotations"][STORAGE_PROVISIONER] == "example.com/ext"
    assert world.events[0].startswith("Waiting for a volume to be created either by the external provisioner 'example")


def test_a_claim_waits_for_its_first_consumer(world: World) -> None:
    storage_class(world, "slow", volumeBindingMode="WaitForFirstConsumer")
    volume(world, "a")
    claim(world)
    settle(world, BINDER)
    assert state(world) == ("Pending", None)
    assert set(world.events) == {"waiting for first consumer to be created before binding"}
    world.patch(CLAIMS, "default", "c", {"metadata": {"annotations": {SELECTED_NODE: "n"}}})
    settle(world, BINDER)
    assert STORAGE_PROVISIONER in world.objects[CLAIMS, "default", "c"]["metadata"]["annotations"]


def test_a_waiting_claim_names_the_pods_that_are_not_scheduled(world: World) -> None:
    storage_class(world, "slow", volumeBindingMode="WaitForFirstConsumer")
    claim(world)
    for name in ("p", "q"):
        mounts = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
        world.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": {"volumes": mounts}})
    settle(world, BINDER)
    assert set(world.events) == {"waiting for pods p,q to be scheduled"}


def test_the_scheduler_binds_by_reserving_the_volume(world: World) -> None:
    storage_class(world, "slow", "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
    volume(world, "a")
    claim(world)
    settle(world, BINDER)
    world.patch(VOLUMES, "", "a", {"spec": {"claimRef": {"namespace": "default", "name": "c"}}})
    settle(world, BINDER)
    assert state(world) == ("Bound", "a")


def test_the_default_class_comes_later_to_claims_that_said_nothing(world: World) -> None:
    claim(world, storageClassName=None)
    claim(world, "none", storageClassName="")
    settle(world, BINDER)
    world.create(
        CLASSES,
        {
            "metadata": {"name": "std", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
        },
    )
    settle(world, BINDER)
    assert world.objects[CLAIMS, "default", "c"]["spec"]["storageClassName"] == "std"
    assert world.objects[CLAIMS, "default", "none"]["spec"]["storageClassName"] == ""


def test_a_claim_whose_volume_vanishes_is_lost(world: World) -> None:
    volume(world, "a")
    claim(world)
    settle(world, BINDER)
    world.events.clear()
    del world.objects[VOLUMES, "", "a"]
    settle(world, BINDER)
    assert world.objects[CLAIMS, "default", "c"]["status"] == {"phase": "Lost"}
    assert world.events == ["Bound claim has lost its PersistentVolume. Data on the volume is lost!"]


def test_a_released_volume_stays_until_its_reference_is_cleared(world: World) -> None:
    volume(world, "a")
    claim(world)
    settle(world, BINDER)
    world.delete(CLAIMS, "default", "c")
    claim(world)
    settle(world, BINDER)
    assert phase(world, "a") == "Released"
    assert state(world) == ("Pending", None)
    world.patch(VOLUMES, "", "a", {"spec": {"claimRef": None}})
    settle(world, BINDER)
    assert state(world) == ("Bound", "a")


def test_a_reference_cleared_while_bound_comes_back(world: World) -> None:
    volume(world, "a")
    claim(world)
    settle(world, BINDER)
    world.patch(VOLUMES, "", "a", {"spec": {"claimRef": None}})
    settle(world, BINDER)
    assert world.objects[VOLUMES, "", "a"]["spec"]["claimRef"]["name"] == "c"
    assert phase(world, "a") == "Bound"


@pytest.mark.parametrize(
    ("spec", "phases", "message"),
    [
        ({}, "Failed", "host_path deleter only supports /tmp/.+ but received provided /mnt/data"),
        ({"hostPath": None, "csi": {"driver": "d", "volumeHandle": "h"}}, "Released", None),
    ],
)
def test_nothing_here_deletes_what_no_driver_made(world: World, spec: Any, phases: str, message: Any) -> None:
    spec = {key: value for key, value in spec.items() if value} or spec
    volume(world, "a", persistentVolumeReclaimPolicy="Delete", **spec)
    if "csi" in spec:
        del world.objects[VOLUMES, "", "a"]["spec"]["hostPath"]
    claim(world)
    settle(world, BINDER)
    world.delete(CLAIMS, "default", "c")
    settle(world, BINDER)
    assert phase(world, "a") == phases
    assert world.objects[VOLUMES, "", "a"]["status"].get("message") == message


def test_a_claim_in_use_and_a_bound_volume_stay(world: World) -> None:
    volume(world, "a")
    claim(world)
    mounts = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    pod = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"volumes": mounts, "nodeName": "n"}}
    settle(world, ALL)
    assert world.objects[CLAIMS, "default", "c"]["status"]["conditions"][0]["reason"] == "NoPodsUsingPVC"
    world.create("pods", pod)
    settle(world, ALL)
    assert world.objects[CLAIMS, "default", "c"]["status"]["conditions"][0]["reason"] == "PodUsingPVC"
    world.delete(CLAIMS, "default", "c")
    world.delete(VOLUMES, "", "a")
    settle(world, ALL)
    assert world.objects[CLAIMS, "default", "c"]["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert phase(world, "a") == "Bound"
    world.delete("pods", "default", "p", force=True)
    settle(world, ALL)
    assert not world.list(CLAIMS)
    assert not world.list(VOLUMES)


SIZES = st.sampled_from(["1Gi", "2Gi", "5Gi"])
MODES = st.sampled_from([["ReadWriteOnce"], ["ReadWriteMany"], ["ReadWriteOnce", "ReadWriteMany"]])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("volume"), st.integers(0, 3), SIZES, MODES, st.sampled_from(["", "c0", "c1"])),
        st.tuples(st.just("claim"), st.integers(0, 3), SIZES, MODES, st.sampled_from(["", "v0", "v1"])),
        st.tuples(st.just("drop claim"), st.integers(0, 3), SIZES, MODES, st.just("")),
        st.tuples(st.just("drop volume"), st.integers(0, 3), SIZES, MODES, st.just("")),
        st.tuples(st.just("free volume"), st.integers(0, 3), SIZES, MODES, st.just("")),
        st.tuples(st.just("settle"), st.integers(0, 3), SIZES, MODES, st.just("")),
    ),
    max_size=14,
)


def do(world: World, step: Any, check: Any) -> None:
    verb, number, size, modes, other = step
    names = {(resource, name) for resource, _, name in world.objects}
    if verb == "volume" and (VOLUMES, f"v{number}") not in names:
        more = {"claimRef": {"namespace": "default", "name": other}} if other else {}
        volume(world, f"v{number}", size, accessModes=modes, **more)
    elif verb == "claim" and (CLAIMS, f"c{number}") not in names:
        claim(world, f"c{number}", size, accessModes=modes, **({"volumeName": other} if other else {}))
    elif verb == "drop claim" and (CLAIMS, f"c{number}") in names:
        world.delete(CLAIMS, "default", f"c{number}")
    elif verb == "drop volume" and (VOLUMES, f"v{number}") in names:
        world.delete(VOLUMES, "", f"v{number}", force=True)
    elif verb == "free volume" and (VOLUMES, f"v{number}") in names:
        world.patch(VOLUMES, "", f"v{number}", {"spec": {"claimRef": None}})
    elif verb == "settle":
        settle(world, ALL, check)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_no_volume_ever_serves_two_claims_and_binding_is_mutual(steps: Any, backwards: bool) -> None:
    world = World(datetime(2026, 1, 1, tzinfo=UTC))

    def check() -> None:
        served: dict[str, str] = {}
        for each in world.list(CLAIMS):
            uid, annotations = each["metadata"]["uid"], each["metadata"].get("annotations") or {}
            name = each["spec"].get("volumeName")
            if BIND_COMPLETED not in annotations or each["status"]["phase"] == "Lost":
                continue
            named = world.get(VOLUMES, "", str(name))
            back = ((named or {}).get("spec") or {}).get("claimRef")
            if named is not None and back is not None and back.get("uid") == uid:
                assert served.setdefault(str(name), uid) == uid

    for step in steps:
        do(world, step, check)
    settle(world, ALL[::-1] if backwards else ALL, check)
    assert settle(world, ALL) == 0
    for each in world.list(CLAIMS):
        named = world.get(VOLUMES, "", str(each["spec"].get("volumeName")))
        if each["status"]["phase"] == "Bound":
            assert named is not None
            assert named["spec"]["claimRef"]["uid"] == each["metadata"]["uid"]
            assert named["status"]["phase"] == "Bound"
    for each in world.list(VOLUMES):
        if each["status"]["phase"] == "Bound":
            reference = each["spec"]["claimRef"]
            assert world.get(CLAIMS, "default", reference["name"])["spec"]["volumeName"] == each["metadata"]["name"]
