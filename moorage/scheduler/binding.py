"""Has a pod bound to the node that it was given: first its volumes, then the pod itself.

Volumes take time (somebody must make them), so every pod is bound in a task of its own. Nothing here polls: a claim's
changes wake the pod that waits for it.
Source: pkg/scheduler/framework/plugins/volumebinding/binder.go BindPodVolumes (v1.37).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from moorage.aio.signal import Signal
from moorage.client.client import Client, Target
from moorage.controllers.volumes import CLAIMS, VOLUMES
from moorage.objects.encoded import Encoded
from moorage.objects.metadata import Object, annotations_of, metadata_of, name_of, namespace_of, revision_of, uid_of
from moorage.objects.volumes import (
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    claim_key,
    claim_ref_of,
    is_for,
    is_fully_bound,
    is_reachable_from,
    reserved_for,
    volume_name_of,
)
from moorage.reconciler.informer import Informers
from moorage.scheduler.demand import Demand
from moorage.scheduler.snapshot import Snapshot
from moorage.scheduler.volumes import Bindings
from moorage.scheduler.world import Promises

#: How long a pod waits for its volumes. Source: VolumeBindingArgs.bindTimeoutSeconds.
BIND_SECONDS: Final = 600.0


class BindingFailed(Exception):
    """A volume cannot be bound for the node that was chosen; the message is for the user."""


class Binder:
    """Binds volumes and pods. `promises` are kept as long as a pod waits for its volumes."""

    def __init__(self, client: Client, informers: Informers, snapshot: Snapshot, promises: Promises) -> None:
        self._client = client
        self._informers = informers
        self._snapshot = snapshot
        self._promises = promises
        self._signals: dict[str, Signal] = {}

    def claim_changed(self, item: Encoded) -> None:
        """Wake the pod that waits for a claim."""
        self._fire(f"{item.namespace}/{item.name}")

    def volume_changed(self, item: Encoded) -> None:
        """Wake the pod that waits for the claim of a volume."""
        if self._signals:
            self._fire(reserved_for(item.object))

    def promise(self, bindings: Bindings, node: str) -> None:
        """Keep others from what a pod was given."""
        for volume, claim in bindings.matched:
            self._promises.volumes[name_of(volume)] = claim_key(claim)
        for claim in bindings.provisioned:
            self._promises.nodes[claim_key(claim)] = node

    def withdraw(self, bindings: Bindings) -> None:
        """Take promises back."""
        for volume, _ in bindings.matched:
            self._promises.volumes.pop(name_of(volume), None)
        for claim in bindings.provisioned:
            self._promises.nodes.pop(claim_key(claim), None)

    async def bind_volumes(self, bindings: Bindings, node: str) -> None:
        """Have all volumes bound. Raises BindingFailed, StatusError, ConnectionError."""
        claims = [*(claim for _, claim in bindings.matched), *bindings.provisioned]
        signal = Signal()
        for claim in claims:
            self._signals[claim_key(claim)] = signal
        try:
            async with asyncio.timeout(BIND_SECONDS):
                written = await self._write(bindings, node)
                while True:
                    seen = signal.count
                    if self._are_bound(claims, bindings.provisioned, written, node):
                        return
                    await signal.wait_beyond(seen)
        except TimeoutError:
            raise BindingFailed("binding volumes: context deadline exceeded") from None
        finally:
            for claim in claims:
                if self._signals.get(claim_key(claim)) is signal:
                    del self._signals[claim_key(claim)]

    async def bind_pod(self, pod: Demand, node: str) -> None:
        """Bind the pod. Raises StatusError, ConnectionError."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
            "target": {"kind": "Node", "name": node},
        }
        await self._client.create("pods", binding, subresource="binding")

    async def _write(self, bindings: Bindings, node: str) -> dict[str, int]:
        """Reserve the volumes, select the node for the others; return the revisions of the claims that were written."""
        for volume, claim in bindings.matched:
            if not is_for(volume, claim) or not (claim_ref_of(volume) or {}).get("uid"):
                await self._client.patch(Target(VOLUMES, "", name_of(volume)), _reservation(volume, claim))
        written: dict[str, int] = {}
        for claim in bindings.provisioned:
            if annotations_of(claim).get(SELECTED_NODE) != node:
                target = Target(CLAIMS, namespace_of(claim), name_of(claim))
                patch = {"metadata": {**_guard(claim), "annotations": {SELECTED_NODE: node}}}
                written[claim_key(claim)] = revision_of(await self._client.patch(target, patch))
        return written

    def _are_bound(
        self, claims: Sequence[Object], provisioned: Sequence[Object], written: dict[str, int], node: str
    ) -> bool:
        """Tell whether all claims are bound. Raises BindingFailed when one never will be."""
        cache = self._informers.cache(CLAIMS)
        for claim in claims:
            item = cache.get(namespace_of(claim), name_of(claim))
            if item is None or item.uid != uid_of(claim):
                raise BindingFailed(f'binding volumes: persistentvolumeclaim "{name_of(claim)}" not found')
            if item.revision < written.get(claim_key(claim), 0):
                return False
            if not is_fully_bound(item.object):
                if claim in provisioned and annotations_of(item.object).get(SELECTED_NODE) != node:
                    raise BindingFailed(f'binding volumes: selectedNode annotation reset for PVC "{name_of(claim)}"')
                return False
            if not self._is_reached(item.object, node):
                return False
        return True

    def _is_reached(self, claim: Object, node: str) -> bool:
        """Tell whether the volume of a claim is known. Raises BindingFailed if the node cannot reach it."""
        volume = self._informers.get(VOLUMES, "", volume_name_of(claim))
        if volume is None:
            return False
        place = self._snapshot.places.get(node)
        if place is None or place.node is None:
            raise BindingFailed(f'binding volumes: failed to get node "{node}"')
        if not is_reachable_from(volume, place.labels, node):
            text = f'pv "{name_of(volume)}" node affinity doesn\'t match node "{node}"'
            raise BindingFailed(f"binding volumes: {text}")
        return True

    def _fire(self, key: str) -> None:
        signal = self._signals.get(key)
        if signal is not None:
            signal.fire()


def _reservation(volume: Object, claim: Object) -> dict[str, Any]:
    """Return the patch by which a volume waits for a claim, as the volume controller would reserve it."""
    reference = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": metadata_of(claim).get("resourceVersion"),
    }
    metadata: dict[str, Any] = _guard(volume)
    if not is_for(volume, claim):
        metadata["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
    return {"metadata": metadata, "spec": {"claimRef": reference}}


def _guard(obj: Object) -> dict[str, Any]:
    return {"uid": uid_of(obj), "resourceVersion": metadata_of(obj).get("resourceVersion")}
