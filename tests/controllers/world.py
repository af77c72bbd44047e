"""A world without time and I/O for testing rules: objects, a View of them, and what the API does when it is asked.

It keeps just what rules depend on: revisions, uids, generations, preconditions, finalizers, graceful deletion of
bound pods, and the deletion of what an owner leaves behind.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from moorage.controllers.rule import Controller, Decision, Index
from moorage.objects.actions import (
    Action,
    Confirm,
    ConfirmGone,
    ConfirmNone,
    Create,
    Delete,
    DeleteAll,
    Patch,
    Record,
    SetStatus,
    Update,
)
from moorage.objects.errors import StatusError, already_exists, conflict, not_found
from moorage.objects.metadata import Object, Ref, controller_of, format_time

Key = tuple[str, str, str]
Draft = dict[str, Any]


class World:
    """All objects by resource, namespace and name; `log` has every change as (revision, kind, resource, object)."""

    def __init__(self, now: Any) -> None:
        self.now = now
        self.revision = 0
        self.objects: dict[Key, Draft] = {}
        self.log: list[tuple[int, str, str, Draft]] = []
        self.events: list[str] = []
        self.refuse: Callable[[str, str, Object], StatusError | None] = lambda verb, resource, obj: None
        #: Whether dependents go with their last owner; a test of the garbage collector has that done by it.
        self.collects = True
        self._count = 0

    # What a rule sees.

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((resource, namespace, name))

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        keys = sorted(key for key in self.objects if key[0] == resource and namespace in ("", key[1]))
        return [self.objects[key] for key in keys]

    def owned(self, resource: str, uid: str) -> Sequence[Object]:
        owners = lambda obj: obj["metadata"].get("ownerReferences") or ()  # noqa: E731
        return [obj for obj in self.list(resource) if any(owner["uid"] == uid for owner in owners(obj))]

    def orphans(self, resource: str, namespace: str) -> Sequence[Object]:
        return [obj for obj in self.list(resource, namespace) if controller_of(obj) is None]

    def indexed(self, resource: str, label: str, value: str) -> Sequence[Object]:
        return [obj for obj in self.list(resource) if str(_at(obj, label)) == value]

    def matching(self, resource: str, index: Index, value: str) -> Sequence[Object]:
        return [obj for obj in self.list(resource) if value in index.values_of(obj)]

    def pods(self) -> dict[str, Object]:
        return {pod["metadata"]["name"]: pod for pod in self.list("pods")}

    # What the API does.

    def create(self, resource: str, obj: Object) -> Draft:
        made = _copy(obj)
        metadata = made["metadata"]
        if error := self.refuse("create", resource, made):
            raise error
        self._count += 1
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._count:05d}"
        key = (resource, metadata.get("namespace", ""), metadata["name"])
        if key in self.objects:
            raise already_exists(resource, "", metadata["name"])
        metadata.update(uid=f"uid-{self._count}", creationTimestamp=format_time(self.now), generation=1)
        if resource in {"pods", "persistentvolumeclaims"}:
            made.setdefault("status", {"phase": "Pending"})
        return self._put(key, made, "ADDED")

    def update(self, resource: str, obj: Object, subresource: str = "") -> Draft:
        key, old = self._find(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if error := self.refuse("update", resource, obj):
            raise error
        if obj["metadata"].get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise conflict(resource, "", key[2])
        new = {**old, "status": obj["status"]} if subresource == "status" else _copy(obj)
        return self._replace(key, old, new)

    def patch(self, resource: str, namespace: str, name: str, patch: Object) -> Draft:
        key, old = self._find(resource, namespace, name)
        version = (patch.get("metadata") or {}).get("resourceVersion")
        if version not in (None, old["metadata"]["resourceVersion"]):
            raise conflict(resource, "", name)
        return self._replace(key, old, _merged(old, patch))

    def delete(
        self, resource: str, namespace: str, name: str, uid: str = "", *, force: bool = False, propagation: str = ""
    ) -> Draft:
        key, old = self._find(resource, namespace, name)
        if uid and old["metadata"]["uid"] != uid:
            raise conflict(resource, "", name)
        if finalizer := {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation):
            finalizers = [*(old["metadata"].get("finalizers") or ()), finalizer]
            old = {**old, "metadata": {**old["metadata"], "finalizers": list(dict.fromkeys(finalizers))}}
        graceful = resource == "pods" and (old.get("spec") or {}).get("nodeName") and not force
        if graceful or old["metadata"].get("finalizers"):
            metadata = {**old["metadata"], "deletionTimestamp": format_time(self.now)}
            return self._replace(key, old, {**old, "metadata": metadata})
        del self.objects[key]
        self.revision += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self.log.append((self.revision, "DELETED", resource, gone))
        self._collect(old["metadata"]["uid"])
        return gone

    def set_status(self, resource: str, name: str, namespace: str = "default", **status: Any) -> None:
        key, old = self._find(resource, namespace, name)
        self._replace(key, old, {**old, "status": {**(old.get("status") or {}), **status}})

    def perform(self, actions: Iterable[Action]) -> StatusError | None:
        """Perform actions as the reconciler does; returns the refusal that ended the round."""
        error: StatusError | None = None
        for action in actions:
            try:
                if error is None:
                    self._perform(action)
                elif isinstance(action, SetStatus) and action.when_failed is not None:
                    self.update(action.resource, {**action.obj, "status": action.when_failed}, "status")
            except StatusError as refusal:
                error = refusal
                for record in getattr(action, "failed", ()):
                    self.events.append(record.message.replace("{error}", str(refusal)))
        return error

    def run(self, controller: Controller, ref: Ref) -> Decision:
        """Observe, decide and perform once."""
        observed = controller.observe(self, ref)
        if observed is None:
            return Decision()
        decision = controller.decide(observed, self.now)
        self.perform(decision.actions)
        return decision

    def _perform(self, action: Action) -> None:
        match action:
            case Create(resource, obj):
                self.create(resource, obj)
            case Update(resource, obj, subresource=subresource):
                self.update(resource, obj, subresource)
            case Patch(ref, patch):
                self.patch(ref.resource, ref.namespace, ref.name, patch)
            case Delete(ref):
                self.delete(ref.resource, ref.namespace, ref.name, ref.uid, propagation=action.propagation)
            case SetStatus(resource, obj, unchanged=unchanged):
                if not unchanged:
                    self.update(resource, obj, "status")
            case Confirm(ref):
                self._find(ref.resource, ref.namespace, ref.name)
            case ConfirmGone(ref):
                found = self.get(ref.resource, ref.namespace, ref.name)
                if found is not None and (not ref.uid or found["metadata"]["uid"] == ref.uid):
                    raise conflict(ref.resource, "", ref.name)
            case ConfirmNone(resource, namespace, matches):
                if any(matches is None or matches(obj) for obj in self.list(resource, namespace)):
                    raise conflict(resource, "", namespace)
            case DeleteAll(resource, namespace):
                for obj in list(self.list(resource, namespace)):
                    self.delete(resource, namespace, obj["metadata"]["name"])
            case Record():
                self.events.append(action.message)
        self.events += [record.message for record in getattr(action, "done", ())]

    def _find(self, resource: str, namespace: str, name: str) -> tuple[Key, Draft]:
        key = (resource, namespace, name)
        if key not in self.objects:
            raise not_found(resource, "", name)
        return key, self.objects[key]

    def _replace(self, key: Key, old: Draft, new: Draft) -> Draft:
        if new == old:
            return old
        generation = old["metadata"].get("generation", 1) + (new.get("spec") != old.get("spec"))
        new = {**new, "metadata": {**new["metadata"], "generation": generation}}
        held = key[0] == "pods" and (new.get("spec") or {}).get("nodeName")
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers") and not held:
            self.objects[key] = {**new, "metadata": {**new["metadata"], "finalizers": []}}
            return self.delete(*key, force=True)
        return self._put(key, new, "MODIFIED")

    def _put(self, key: Key, obj: Draft, kind: str) -> Draft:
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        self.objects[key] = obj
        self.log.append((self.revision, kind, key[0], obj))
        return obj

    def _collect(self, uid: str) -> None:
        if not self.collects:
            return
        for key, obj in list(self.objects.items()):
            owners = obj["metadata"].get("ownerReferences") or []
            if owners and all(owner["uid"] == uid for owner in owners) and key in self.objects:
                self.delete(*key, force=True)


def ready(world: World, name: str, at: Any = None) -> None:
    """Let a pod run and be ready, since `at`."""
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(at or world.now)}
    world.set_status("pods", name, phase="Running", conditions=[condition])


def unready(world: World, name: str, phase: str = "Running") -> None:
    """Let a pod be not ready."""
    world.set_status("pods", name, phase=phase, conditions=[{"type": "Ready", "status": "False"}])


def _at(obj: Object, path: str) -> Any:
    found: Any = obj
    for step in path.split("."):
        found = (found or {}).get(step)
    return found


def _copy(obj: Object) -> Draft:
    copied: Draft = orjson.loads(orjson.dumps(obj))
    return copied


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
