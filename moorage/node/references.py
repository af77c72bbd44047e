"""Which ConfigMaps, Secrets and claims the pods of this process name, so that a change reaches just the pods it concerns.

A cache of a resource is started when the first pod names an object of it; nothing here polls.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from moorage.objects.encoded import Encoded
from moorage.objects.metadata import Object, name_of, namespace_of
from moorage.reconciler.informer import Informers


class Reference(NamedTuple):
    """An object that a pod needs. resource: its id, as "configmaps"."""

    resource: str
    namespace: str
    name: str


#: Called with what has changed: created, updated or deleted.
Listener = Callable[[Reference], None]


class References:
    """Tells listeners of changes to what they named."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._listeners: dict[Reference, dict[str, Listener]] = {}
        self._named: dict[str, tuple[Reference, ...]] = {}
        self._followed: set[str] = set()

    def watch(self, uid: str, references: tuple[Reference, ...], listener: Listener) -> None:
        """Tell `listener` whenever one of these changes, until `forget`. Replaces what was watched under this uid."""
        if self._named.get(uid) == references:
            return
        self.forget(uid)
        self._named[uid] = references
        for reference in references:
            self._listeners.setdefault(reference, {})[uid] = listener
            if reference.resource not in self._followed:
                self._followed.add(reference.resource)
                self._informers.cache(reference.resource).subscribe(self._changes_of(reference.resource))

    def forget(self, uid: str) -> None:
        """End what `watch` began."""
        for reference in self._named.pop(uid, ()):
            listeners = self._listeners[reference]
            listeners.pop(uid, None)
            if not listeners:
                del self._listeners[reference]

    def _changes_of(self, resource: str) -> Callable[[Encoded | None, Encoded | None], None]:
        def changed(new: Encoded | None, old: Encoded | None) -> None:
            item = new or old
            if item is None:
                return
            reference = Reference(resource, item.namespace, item.name)
            for listener in list(self._listeners.get(reference, {}).values()):
                listener(reference)

        return changed


def references_of(pod: Object) -> tuple[Reference, ...]:
    """Return the ConfigMaps, Secrets and claims that a pod's volumes and containers name, each once."""
    namespace, spec = namespace_of(pod), pod["spec"]
    found = [named for each in spec.get("volumes") or () for named in in_volume(each, name_of(pod))]
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(part) or ():
            found += in_environment(container)
    return tuple(Reference(kind, namespace, name) for kind, name in dict.fromkeys(found) if name)


def in_volume(volume: Object, pod_name: str) -> Iterable[tuple[str, str]]:
    """Yield (resource, name) of what a volume's content comes from."""
    if claim := volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", claim["claimName"]
    elif "ephemeral" in volume:
        yield "persistentvolumeclaims", f"{pod_name}-{volume['name']}"
    else:
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield from _in_source(source)


def _in_source(source: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if part := source.get("configMap"):
        yield "configmaps", part.get("name", "")
    if part := source.get("secret"):
        yield "secrets", part.get("secretName") or part.get("name", "")


def in_environment(container: Object) -> list[tuple[str, str]]:
    """Return (resource, name) of what a container's environment comes from, each once."""
    found: dict[tuple[str, str], None] = {}
    for each in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in each:
                found[kind, each[field]["name"]] = None
    for each in container.get("env") or ():
        origin = each.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if field in origin:
                found[kind, origin[field]["name"]] = None
    return list(found)
