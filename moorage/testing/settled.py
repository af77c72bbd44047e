"""How a world looks that has come to rest: nothing left to do, and everything as its owners want it.

Each condition is a sentence and a function that yields what is not so yet. They hold some time after faults and users
have stopped, and from then on for ever.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from moorage.node.runtimes.runtime import SandboxState
from moorage.objects.metadata import (
    Object,
    annotations_of,
    generation_of,
    is_condition_true,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)
from moorage.objects.pods import claims_of, is_active, is_finished, is_ready, is_running_and_ready, node_of
from moorage.objects.workloads import replicas_of
from moorage.testing.history import History

#: Resources that go on changing for ever: nodes say that they live, Events end by time.
RESTLESS: Final = frozenset({"nodes", "leases", "events"})

Condition = Callable[[History], Iterable[str]]


def nothing_is_terminating(history: History) -> Iterable[str]:
    """Yield what was deleted and is still there; a claim stays as long as a pod uses it, as it should."""
    used = _used_claims(history)
    for resource, obj in history.everything():
        is_used = resource == "persistentvolumeclaims" and (namespace_of(obj), name_of(obj)) in used
        if is_terminating(obj) and not is_used:
            yield f"{resource} {name_of(obj)} is still being deleted"


def owners_exist(history: History) -> Iterable[str]:
    """Yield what the garbage collector has left behind."""
    everything = list(history.everything())
    known = {uid_of(obj) for _, obj in everything}
    for resource, obj in everything:
        owners = owners_of(obj)
        if resource != "events" and owners and not any(owner["uid"] in known for owner in owners):
            yield f"{resource} {name_of(obj)} has outlived its owner {owners[0]['kind']} {owners[0]['name']}"


def nodes_are_ready(history: History) -> Iterable[str]:
    """Yield nodes that are not ready, or that others keep away from."""
    for node in history.all("nodes"):
        if not is_condition_true(node, "Ready") or (node.get("spec") or {}).get("taints"):
            yield f"node {name_of(node)} is not ready"


def pods_run(history: History) -> Iterable[str]:
    """Yield pods that are not placed, or neither ready nor finished."""
    for pod in history.all("pods"):
        if not is_finished(pod) and not (node_of(pod) and is_running_and_ready(pod)):
            yield f"pod {name_of(pod)} on {node_of(pod) or 'no node'} is not ready"


def stateful_sets_are_complete(history: History) -> Iterable[str]:
    """Yield StatefulSets whose pods, revisions or claims are not what they want, or whose status says otherwise."""
    for each in history.all("statefulsets"):
        wanted, name = replicas_of(each), name_of(each)
        pods = _owned(history, "pods", each)
        names = [f"{name}-{ordinal}" for ordinal in range(wanted)]
        if sorted(names) != sorted(map(name_of, pods)):
            yield f"statefulset {name} has {sorted(map(name_of, pods))}, wants {names}"
        status = each.get("status") or {}
        revision = status.get("updateRevision")
        if any(labels_of(pod).get("controller-revision-hash") != revision for pod in pods):
            yield f"statefulset {name} has pods of an old revision"
        yield from _status_problems("statefulset", each, ("replicas", "readyReplicas", "updatedReplicas"), wanted)
        templates = (each.get("spec") or {}).get("volumeClaimTemplates") or ()
        for claim in (f"{name_of(template)}-{pod}" for template in templates for pod in names):
            if history.get("persistentvolumeclaims", namespace_of(each), claim) is None:
                yield f"statefulset {name} lacks its claim {claim}"


def replica_sets_are_complete(history: History) -> Iterable[str]:
    """Yield ReplicaSets with another number of pods than they want, or whose status says otherwise."""
    for each in history.all("replicasets"):
        wanted = replicas_of(each)
        pods = [pod for pod in _owned(history, "pods", each) if is_active(pod)]
        if len(pods) != wanted or not all(map(is_ready, pods)):
            yield f"replicaset {name_of(each)} has {len(pods)} active pods, wants {wanted} ready ones"
        yield from _status_problems("replicaset", each, ("replicas", "readyReplicas"), wanted)


def deployments_are_complete(history: History) -> Iterable[str]:
    """Yield Deployments that have not rolled out their newest template."""
    for each in history.all("deployments"):
        fields = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        yield from _status_problems("deployment", each, fields, replicas_of(each))


def claims_are_bound(history: History) -> Iterable[str]:
    """Yield claims in use without a volume, and claims and volumes that do not name each other."""
    used = _used_claims(history)
    claims = {(namespace_of(claim), name_of(claim)): claim for claim in history.all("persistentvolumeclaims")}
    for key in sorted(used):
        if key not in claims or _phase(claims[key]) != "Bound":
            yield f"claim {key[1]} is used and not bound"
    for key, claim in claims.items():
        volume = history.get("persistentvolumes", "", (claim.get("spec") or {}).get("volumeName") or "")
        if _phase(claim) == "Bound" and (volume is None or _claimant(volume).get("uid") != uid_of(claim)):
            yield f"claim {key[1]} is bound to a volume that does not name it"
    for volume in history.all("persistentvolumes"):
        named = claims.get((_claimant(volume).get("namespace", ""), _claimant(volume).get("name", "")))
        is_named = named is not None and (named.get("spec") or {}).get("volumeName") == name_of(volume)
        if _phase(volume) == "Bound" and not is_named:
            yield f"volume {name_of(volume)} is bound to a claim that does not name it"
        is_provisioned = "pv.kubernetes.io/provisioned-by" in annotations_of(volume)
        if is_provisioned and _phase(volume) in ("Released", "Failed") and _reclaims(volume):
            yield f"volume {name_of(volume)} is {_phase(volume)} and was to be deleted"


def conditions() -> Mapping[str, Condition]:
    """Return all conditions by their sentences."""
    return {
        "Nothing is being deleted any more.": nothing_is_terminating,
        "Nothing outlives its owner.": owners_exist,
        "All nodes are ready.": nodes_are_ready,
        "All pods are placed and ready.": pods_run,
        "StatefulSets have their pods, revisions and claims.": stateful_sets_are_complete,
        "ReplicaSets have as many pods as they want.": replica_sets_are_complete,
        "Deployments have rolled out.": deployments_are_complete,
        "Claims and volumes name each other.": claims_are_bound,
    }


def problems_of(history: History) -> list[str]:
    """Return what is not at rest yet."""
    return [problem for condition in conditions().values() for problem in condition(history)]


def runtime_problems(history: History, node: str, sandboxes: Sequence[SandboxState]) -> list[str]:
    """Return what runs on a node without a pod, and which pods of it do not run."""
    pods = {uid_of(pod): pod for pod in history.all("pods") if node_of(pod) == node}
    running = {sandbox.uid for sandbox in sandboxes if any(each.state == "running" for each in sandbox.containers)}
    strays = [f"{sandbox.name} runs on {node} without a pod" for sandbox in sandboxes if sandbox.uid not in pods]
    idle = [name_of(pod) for uid, pod in sorted(pods.items()) if uid not in running and not is_finished(pod)]
    return strays + [f"pod {name} says that it runs on {node}, and does not" for name in idle]


def _used_claims(history: History) -> set[tuple[str, str]]:
    return {(namespace_of(pod), claim) for pod in history.all("pods") for claim in claims_of(pod)}


def _owned(history: History, resource: str, owner: Object) -> list[Object]:
    uid = uid_of(owner)
    return [obj for obj in history.all(resource) if any(each["uid"] == uid for each in owners_of(obj))]


def _status_problems(kind: str, obj: Object, fields: Sequence[str], wanted: int) -> Iterable[str]:
    status: Mapping[str, Any] = obj.get("status") or {}
    if int(status.get("observedGeneration") or 0) != generation_of(obj):
        yield f"the status of {kind} {name_of(obj)} is of an older generation"
    for field in fields:
        if int(status.get(field) or 0) != wanted:
            yield f"{kind} {name_of(obj)} says {field}={status.get(field) or 0}, wants {wanted}"


def _phase(obj: Object) -> str:
    return str((obj.get("status") or {}).get("phase") or "")


def _claimant(volume: Object) -> Mapping[str, Any]:
    return (volume.get("spec") or {}).get("claimRef") or {}


def _reclaims(volume: Object) -> bool:
    return bool((volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Delete")
