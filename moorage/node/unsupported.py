"""What this node does not do although a pod asks for it: refused where the pod would not be what it asks to be, else told.

Pure. Every field that is neither here nor done is a fault.
"""

from collections.abc import Iterator

from moorage.objects.metadata import Object


def refusals(pod: Object) -> list[str]:
    """Return what keeps the pod from running here."""
    return [f"{what} is not supported by this node" for what in _refused(pod["spec"])]


def _refused(spec: Object) -> Iterator[str]:
    for field in ("hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    if "windowsOptions" in (spec.get("securityContext") or {}) or (spec.get("os") or {}).get("name") == "windows":
        yield "Windows"
    for container in _containers(spec):
        if container.get("volumeDevices"):
            yield f"volumeDevices of container {container['name']}"
        for mount in container.get("volumeMounts") or ():
            if mount.get("mountPropagation") == "Bidirectional":
                yield f"mountPropagation Bidirectional of container {container['name']}"


def shortcomings(pod: Object) -> list[str]:
    """Return what the pod asks for and does not get; it runs without."""
    return list(_ignored(pod["spec"]))


def _ignored(spec: Object) -> Iterator[str]:
    if spec.get("runtimeClassName"):
        yield f"runtimeClassName {spec['runtimeClassName']} is ignored: this node has one runtime"
    if spec.get("hostUsers") is False:
        yield "hostUsers false is ignored: pods share one user namespace"
    yield from _profiles(spec.get("securityContext") or {}, "the pod")
    for container in _containers(spec):
        name = container["name"]
        yield from _profiles(container.get("securityContext") or {}, f"container {name}")
        for port in container.get("ports") or ():
            if port.get("hostPort") and not spec.get("hostNetwork"):
                yield f"hostPort {port['hostPort']} of container {name} is not opened on the node"


def _profiles(security: Object, whose: str) -> Iterator[str]:
    for field in ("seccompProfile", "appArmorProfile"):
        if (security.get(field) or {}).get("type") == "Localhost":
            yield f"{field} Localhost of {whose} is ignored"
    if security.get("seLinuxOptions"):
        yield f"seLinuxOptions of {whose} are ignored"
    if security.get("procMount") == "Unmasked":
        yield f"procMount Unmasked of {whose} is ignored"


def _containers(spec: Object) -> Iterator[Object]:
    for part in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(part) or ()
