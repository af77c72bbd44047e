"""What nodes may do: what their own pods need. Users `system:node:<name>` of the group system:nodes.

Objects that pods refer to (secrets, config maps, claims and their volumes, accounts) are allowed by name only, and only
while a pod of the node refers to them; leases and CSI nodes only under the node's own name; the rest is the same for all
nodes and stands in the cluster role system:node.
Differs from Kubernetes: pods are looked through for each question instead of kept in a graph, and lists of pods are
allowed without a field selector.
Source: plugin/pkg/auth/authorizer/node (v1.37).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from moorage.api.authorization import Rbac, Verdict, is_covered, refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import User
from moorage.objects.attributes import Attributes
from moorage.objects.metadata import Object, namespace_of

NODES: Final = "system:nodes"
_PREFIX: Final = "system:node:"
_ROLE: Final = {"kind": "ClusterRole", "name": "system:node"}

_READ: Final = frozenset({"get", "list", "watch"})
_OWN: Final = frozenset({"get", "create", "update", "patch", "delete"})

#: Resources whose objects belong to the node that they are named after.
_OWN_NAME: Final = frozenset({("coordination.k8s.io", "leases"), ("storage.k8s.io", "csinodes")})

_NOTHING: Final[Mapping[str, Any]] = {}


class NodeAuthorizer:
    """RBAC for everybody, and beside it what nodes need."""

    def __init__(self, rbac: Rbac, lookup: Lookup) -> None:
        self._rbac = rbac
        self._lookup = lookup

    async def authorize(self, user: User, attributes: Attributes) -> None:
        """Return if the user may. Raises Forbidden with upstream's text."""
        verdict = self.judge(user, attributes)
        if not verdict.allowed:
            raise refused(user, attributes, verdict.reason)

    def judge(self, user: User, attributes: Attributes) -> Verdict:
        """Return whether the user may, and why."""
        if NODES not in user.groups or not user.name.startswith(_PREFIX):
            return self._rbac.judge(user, attributes)
        node = user.name[len(_PREFIX) :]
        if self._may(node, attributes):
            return Verdict(allowed=True)
        verdict = self._rbac.judge(user, attributes)
        if verdict.allowed or (attributes.group, attributes.resource, attributes.subresource) not in _REFERRED:
            return verdict
        why = "No Object name found"
        if attributes.name:
            why = f"no relationship found between node '{node}' and this object"
        return Verdict(allowed=False, reason=f"node: {why}")

    def _may(self, node: str, asked: Attributes) -> bool:
        if asked.path:
            return False
        if (asked.group, asked.resource) in _OWN_NAME:
            return asked.verb in _OWN and (asked.name == node or (not asked.name and asked.verb == "create"))
        referred = _REFERRED.get((asked.group, asked.resource, asked.subresource))
        if referred is not None:
            verbs, names = referred
            return asked.verb in verbs and self._is_referred(node, asked, names)
        return any(is_covered(rule, asked) for rule in self._rbac.rules_of(_ROLE, ""))

    def _is_referred(self, node: str, asked: Attributes, names: "Names") -> bool:
        if not asked.name:
            return False
        pods = self._lookup.list("pods", asked.namespace)
        mine = (pod for pod in pods if (pod.get("spec") or _NOTHING).get("nodeName") == node)
        return any(asked.name in names(pod, self._lookup) for pod in mine)


Names = Callable[[Object, Lookup], Iterator[str]]


def _volumes(pod: Object) -> Iterator[Mapping[str, Any]]:
    yield from pod["spec"].get("volumes") or ()


def _parts(pod: Object, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the volume sources of a kind, those inside projected volumes too."""
    for volume in _volumes(pod):
        if kind in volume:
            yield volume[kind]
        for source in (volume.get("projected") or _NOTHING).get("sources") or ():
            if kind in source:
                yield source[kind]


def _environment(pod: Object, reference: str, key: str) -> Iterator[str]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod["spec"].get(field) or ():
            for source in container.get("envFrom") or ():
                yield (source.get(reference) or _NOTHING).get("name", "")
            for variable in container.get("env") or ():
                yield ((variable.get("valueFrom") or _NOTHING).get(key) or _NOTHING).get("name", "")


def _secrets(pod: Object, _: Lookup) -> Iterator[str]:
    yield from _environment(pod, "secretRef", "secretKeyRef")
    for source in _parts(pod, "secret"):
        yield source.get("secretName") or source.get("name") or ""
    for reference in pod["spec"].get("imagePullSecrets") or ():
        yield reference.get("name", "")


def _config_maps(pod: Object, _: Lookup) -> Iterator[str]:
    yield from _environment(pod, "configMapRef", "configMapKeyRef")
    for source in _parts(pod, "configMap"):
        yield source.get("name", "")


def _claims(pod: Object, _: Lookup) -> Iterator[str]:
    for volume in _volumes(pod):
        if source := volume.get("persistentVolumeClaim"):
            yield source["claimName"]
        if "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def _persistent_volumes(pod: Object, lookup: Lookup) -> Iterator[str]:
    for name in _claims(pod, lookup):
        claim = lookup.get("persistentvolumeclaims", namespace_of(pod), name)
        yield ((claim or _NOTHING).get("spec") or _NOTHING).get("volumeName", "")


def _accounts(pod: Object, _: Lookup) -> Iterator[str]:
    yield pod["spec"].get("serviceAccountName") or "default"


#: (group, resource, subresource) -> the verbs, and the names that a pod refers to.
_REFERRED: Final[Mapping[tuple[str, str, str], tuple[frozenset[str], Names]]] = {
    ("", "secrets", ""): (_READ, _secrets),
    ("", "configmaps", ""): (_READ, _config_maps),
    ("", "persistentvolumeclaims", ""): (frozenset({"get"}), _claims),
    ("", "persistentvolumeclaims", "status"): (frozenset({"get", "update", "patch"}), _claims),
    ("", "persistentvolumes", ""): (frozenset({"get"}), _persistent_volumes),
    ("", "serviceaccounts", ""): (frozenset({"get"}), _accounts),
    ("", "serviceaccounts", "token"): (frozenset({"create"}), _accounts),
}
