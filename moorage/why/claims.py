"""Why a claim is not bound, and what is wrong with a volume."""

from typing import Final

from moorage.objects.metadata import Object, Ref, name_of, namespace_of
from moorage.objects.pods import claims_of, is_finished, node_of
from moorage.objects.quantity import parse_quantity
from moorage.objects.volumes import (
    NO_PROVISIONER,
    claim_ref_of,
    class_of,
    default_class,
    is_for,
    is_fully_bound,
    mismatch_of,
    phase_of,
    reclaim_policy_of,
    request_of,
    spec_of,
    volume_name_of,
    waits_for_consumer,
)
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.world import World

CLASSES: Final = "storageclasses.storage.k8s.io"


def explain(claim: Object, world: World) -> Cause | None:
    """Return why a claim has no volume, None if it has one."""
    namespace, name = namespace_of(claim), name_of(claim)
    show = kubectl(f"describe pvc {name}", namespace)
    if phase_of(claim) == "Lost":
        return Cause("has lost its volume", show, Ref("persistentvolumes", "", volume_name_of(claim)))
    if is_fully_bound(claim) or phase_of(claim) == "Bound":
        return _growing(claim, world, show)
    if volume_name_of(claim):
        return _named(claim, world, show)
    class_name = class_of(claim)
    if not class_name:
        return _classless(claim, world, show)
    ref = Ref(CLASSES, "", class_name)
    found = world.get(ref)
    if found is None:
        others = ", ".join(name_of(each) for each in world.list(CLASSES)) or "none"
        absent = f"create StorageClass {class_name}: kubectl apply -f CLASS.yaml (there are: {others})"
        return Cause(f"is not bound: it asks for StorageClass {class_name}", holder=ref, absent=absent)
    if waits_for_consumer(found):
        waiting = _consumer(claim, world)
        if waiting is not None:
            return waiting
    provisioner = str(found.get("provisioner") or "")
    failure = world.warning(claim, "ProvisioningFailed", "VolumeMismatch", "FailedBinding")
    if failure:
        return Cause(f"is not bound: {cut(failure)}", show)
    if provisioner == NO_PROVISIONER:
        return Cause(
            f"is not bound: no free volume of class {class_name} suits it, and nobody makes one for that class",
            "kubectl get pv, then create one that suits",
        )
    return Cause(f"is not bound: it waits for the provisioner {provisioner} to make a volume", show)


def _growing(claim: Object, world: World, show: str) -> Cause | None:
    """Return why a bound claim is still smaller than it asks to be, None if it is not."""
    has = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    wanted = request_of(claim)
    if not has or parse_quantity(str(has)) >= wanted:
        return None
    newest = world.warning(claim, "VolumeResizeFailed", "ExternalExpanding", "FileSystemResizeFailed")
    told = f": {cut(newest)}" if newest else ""
    return Cause(f"is bound, and has {has} where it asks for {wanted}{told}", show)


def _named(claim: Object, world: World, show: str) -> Cause:
    """Return why the claim does not get the volume that it asks for by name."""
    ref = Ref("persistentvolumes", "", volume_name_of(claim))
    volume = world.get(ref)
    says = f"is not bound: it asks for volume {ref.name}"
    if volume is None:
        return Cause(
            says, holder=ref, absent=f"create it: kubectl apply -f VOLUME.yaml (a PersistentVolume named {ref.name})"
        )
    taken = claim_ref_of(volume)
    if taken is not None and not is_for(volume, claim):
        held = f"belongs to claim {taken.get('namespace')}/{taken.get('name')}"
        return Cause(says, kubectl(f"describe pv {ref.name}"), ref, held)
    reason = mismatch_of(volume, claim)
    return Cause(f"{says}, and {reason}" if reason else says, show)


def _classless(claim: Object, world: World, show: str) -> Cause:
    default = default_class(world.list(CLASSES))
    if spec_of(claim).get("storageClassName") is None and default is None:
        return Cause(
            "is not bound: it names no StorageClass, none is the default, and no free volume suits it",
            "kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true",
        )
    return Cause("is not bound: it wants a volume without a class, and no free one suits it", "kubectl get pv")


def _consumer(claim: Object, world: World) -> Cause | None:
    """Return for which pod the claim waits, None if its pod has a node."""
    name, namespace = name_of(claim), namespace_of(claim)
    users = [each for each in world.list("pods", namespace) if name in claims_of(each) and not is_finished(each)]
    if not users:
        return Cause(
            f"waits for its first consumer: its class {class_of(claim)} makes a volume once a pod mounts it",
            kubectl(f"apply -f POD.yaml (a pod that mounts claim {name})", namespace),
        )
    if any(node_of(each) for each in users):
        return None
    pod = Ref("pods", namespace, name_of(users[0]))
    return Cause(f"waits for pod {pod.name} to get a node", holder=pod, held_as="is being scheduled")


def explain_volume(volume: Object, world: World) -> Cause | None:
    """Return what is wrong with a volume, None if it is free or bound."""
    phase, name = phase_of(volume), name_of(volume)
    show = kubectl(f"describe pv {name}")
    if phase == "Failed":
        return Cause(f"could not be reclaimed: {cut(str((volume.get('status') or {}).get('message') or ''))}", show)
    if phase == "Released":
        claim = claim_ref_of(volume) or {}
        free = f"""kubectl patch pv {name} --type=json -p '[{{"op":"remove","path":"/spec/claimRef"}}]'"""
        if reclaim_policy_of(volume) == "Retain":
            told = (
                f"keeps the data of claim {claim.get('namespace')}/{claim.get('name')}, which is gone (policy Retain)"
            )
            return Cause(f"is taken by nobody: it {told}", free)
        return Cause(f"is Released and waits to be deleted (policy {reclaim_policy_of(volume)})", show)
    return None
