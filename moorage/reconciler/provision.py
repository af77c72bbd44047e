"""Performs the two actions that touch volumes' data: making a volume for a claim, and removing a released one's data.

Both can be repeated, and a crash at any step leaves the old or the new state:
  making    driver makes the directory, then the PersistentVolume is created. Its name is the volume's identity: when it
            is there already, the driver is asked for nothing.
  removing  the API itself must still say that the volume is Released, that its policy is Delete, that we made it and
            that its claim is gone; then the driver removes the data, then the object is deleted, then its finalizer.
A volume whose object is gone has no data left; data whose object is there is complete, or on its way out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.client.client import Client, Target
from moorage.objects.actions import DeleteVolumeData, ProvisionVolume
from moorage.objects.errors import AlreadyExists, Conflict, InternalError, NotFound
from moorage.objects.metadata import (
    Object,
    annotations_of,
    finalizers_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    uid_of,
)
from moorage.objects.volumes import (
    PROVISIONED_BY,
    PROVISIONER_FINALIZER,
    SELECTED_NODE,
    access_modes_of,
    claim_ref_of,
    is_for,
    mode_of,
    phase_of,
    reclaim_policy_of,
    request_of,
    volume_name_of,
)
from moorage.volumes.driver import Driver, DriverError, VolumeRequest

VOLUMES = "persistentvolumes"
CLAIMS = "persistentvolumeclaims"

#: What was written: pairs of resource and answer.
Answers = Sequence[tuple[str, Object]]


class Provisioner:
    """The drivers of this process by provisioner name, and the client that writes about their volumes."""

    def __init__(self, client: Client, drivers: Mapping[str, Driver]) -> None:
        self._client = client
        self._drivers = drivers

    async def provision(self, action: ProvisionVolume) -> Answers:
        """Make the volume. Raises InternalError with the driver's words, Conflict when the claim has changed."""
        driver = self._driver(action.provisioner)
        claim = await self._client.get(Target(CLAIMS, namespace_of(action.claim), name_of(action.claim)))
        if uid_of(claim) != uid_of(action.claim) or is_terminating(claim) or volume_name_of(claim):
            raise Conflict(f"claim {namespace_of(claim)}/{name_of(claim)} needs no volume any more")
        try:
            spec = await driver.create(_request(action))
        except DriverError as error:
            if action.node and not error.temporary:
                await self._forget_node(claim)
            raise InternalError(str(error)) from error
        return [(VOLUMES, await self._create_object(action, _volume(action, spec)))]

    async def delete(self, action: DeleteVolumeData) -> Answers:
        """Remove data and object. Raises Conflict when the volume is not to be deleted, InternalError when it cannot be."""
        driver = self._driver(action.provisioner)
        target = Target(VOLUMES, "", name_of(action.volume))
        try:
            volume = await self._client.get(target)
        except NotFound:
            return ()
        await self._check_deletable(action, volume)
        try:
            await driver.delete(volume)
        except DriverError as error:
            raise InternalError(str(error)) from error
        return await self._delete_object(target, volume)

    async def _check_deletable(self, action: DeleteVolumeData, volume: Object) -> None:
        """Raise Conflict unless the API itself says that this volume's data must go."""
        if (
            uid_of(volume) != uid_of(action.volume)
            or phase_of(volume) not in ("Released", "Failed")
            or reclaim_policy_of(volume) != "Delete"
            or annotations_of(volume).get(PROVISIONED_BY) != action.provisioner
        ):
            raise Conflict(f"volume {name_of(volume)} is not to be deleted")
        reference = claim_ref_of(volume)
        if reference is None:
            raise Conflict(f"volume {name_of(volume)} refers to no claim")
        try:
            claim = await self._client.get(Target(CLAIMS, str(reference["namespace"]), str(reference["name"])))
        except NotFound:
            return
        if is_for(volume, claim) and volume_name_of(claim) in ("", name_of(volume)):
            raise Conflict(f"volume {name_of(volume)} still has its claim")

    async def _delete_object(self, target: Target, volume: Object) -> Answers:
        """Delete the object whose data is gone, then let go of its finalizer."""
        try:
            if not is_terminating(volume):
                await self._client.delete(target, {"preconditions": {"uid": uid_of(volume)}})
            volume = await self._client.get(target)
            if PROVISIONER_FINALIZER not in finalizers_of(volume):
                return ()
            left = [each for each in finalizers_of(volume) if each != PROVISIONER_FINALIZER]
            guard = {"uid": uid_of(volume), "resourceVersion": metadata_of(volume).get("resourceVersion")}
            return [(VOLUMES, await self._client.patch(target, {"metadata": {**guard, "finalizers": left or None}}))]
        except NotFound:
            return ()

    async def _create_object(self, action: ProvisionVolume, volume: Object) -> Object:
        try:
            return await self._client.create(VOLUMES, volume)
        except AlreadyExists:
            found = await self._client.get(Target(VOLUMES, "", action.name))
            if annotations_of(found).get(PROVISIONED_BY) == action.provisioner and is_for(found, action.claim):
                return found
            raise InternalError(f"volume {action.name} exists and belongs to somebody else") from None

    async def _forget_node(self, claim: Object) -> None:
        """Have the scheduler choose again, because the selected node cannot have the volume."""
        target = Target(CLAIMS, namespace_of(claim), name_of(claim))
        guard = {"uid": uid_of(claim), "resourceVersion": metadata_of(claim).get("resourceVersion")}
        try:
            await self._client.patch(target, {"metadata": {**guard, "annotations": {SELECTED_NODE: None}}})
        except (Conflict, NotFound):
            return

    def _driver(self, provisioner: str) -> Driver:
        driver = self._drivers.get(provisioner)
        if driver is None:
            raise InternalError(f"no driver for provisioner {provisioner} runs here")
        return driver


def _request(action: ProvisionVolume) -> VolumeRequest:
    parameters = action.storage_class.get("parameters") or {}
    modes = tuple(access_modes_of(action.claim))
    return VolumeRequest(action.name, action.size_bytes, modes, parameters, action.node)


def _volume(action: ProvisionVolume, spec: Object) -> dict[str, Any]:
    """Return the PersistentVolume of what the driver made: bound to its claim from the start."""
    claim, storage_class = action.claim, action.storage_class
    policy = str(storage_class.get("reclaimPolicy") or "Delete")
    metadata: dict[str, Any] = {"name": action.name, "annotations": {PROVISIONED_BY: action.provisioner}}
    if policy == "Delete":
        metadata["finalizers"] = [PROVISIONER_FINALIZER]
    whole: dict[str, Any] = {
        **spec,
        "accessModes": list(access_modes_of(claim)),
        "claimRef": {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": namespace_of(claim),
            "name": name_of(claim),
            "uid": uid_of(claim),
            "resourceVersion": metadata_of(claim).get("resourceVersion"),
        },
        "persistentVolumeReclaimPolicy": policy,
        "storageClassName": name_of(storage_class),
        "volumeMode": mode_of(claim),
    }
    if request_of(claim).value == action.size_bytes:
        # The same size, written as the claim writes it.
        whole["capacity"] = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
    if options := storage_class.get("mountOptions"):
        whole["mountOptions"] = options
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": whole}
