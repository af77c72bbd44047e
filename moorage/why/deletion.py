"""Why something that was deleted is still there: a grace period, a silent node, a finalizer, what is inside or uses it."""

import re
from typing import Final

from moorage.objects.kinds import builtin
from moorage.objects.metadata import (
    Object,
    Ref,
    condition_of,
    controller_of,
    finalizers_of,
    is_terminating,
    metadata_of,
    name_of,
    namespace_of,
    owners_of,
    parse_time,
    uid_of,
)
from moorage.objects.object_meta import FOREGROUND
from moorage.objects.pods import JOB_FINALIZER, claims_of, is_finished, node_of
from moorage.objects.volumes import CLAIM_PROTECTION, VOLUME_PROTECTION, claim_ref_of
from moorage.why.cause import Cause, cut, kubectl
from moorage.why.places import is_absent_or_silent
from moorage.why.world import World

#: Conditions of a namespace that tell what is in its way, the deepest first.
_NAMESPACE: Final = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
)
_REMAINING: Final = re.compile(r"([a-z0-9.-]+) has \d+ resource instances")


def explain(ref: Ref, obj: Object, world: World) -> Cause:
    """Return what keeps a deleted object."""
    if ref.resource == "namespaces":
        return _namespace(obj, world)
    finalizers = finalizers_of(obj)
    if CLAIM_PROTECTION in finalizers and ref.resource == "persistentvolumeclaims":
        users = [
            pod for pod in world.list("pods", ref.namespace) if ref.name in claims_of(pod) and not is_finished(pod)
        ]
        if users:
            holder = Ref("pods", ref.namespace, name_of(users[0]))
            mend = kubectl(f"delete pod {holder.name}", ref.namespace)
            return Cause("is Terminating until no pod uses it", mend, holder, "uses it")
    if VOLUME_PROTECTION in finalizers and ref.resource == "persistentvolumes" and (claim := claim_ref_of(obj)):
        holder = Ref("persistentvolumeclaims", str(claim.get("namespace")), str(claim.get("name")))
        if world.get(holder) is not None:
            mend = kubectl(f"delete pvc {holder.name}", holder.namespace)
            return Cause("is Terminating until no claim is bound to it", mend, holder, "is bound to it")
    if FOREGROUND in finalizers:
        return _foreground(ref, obj, world)
    if finalizers:
        return _finalizer(ref, obj, finalizers[0])
    return _pod(obj, world) if ref.resource == "pods" else Cause("is being deleted", _show(ref))


def _show(ref: Ref) -> str:
    return kubectl(f"get {ref.resource} {ref.name} -o yaml", ref.namespace)


def _finalizer(ref: Ref, obj: Object, finalizer: str) -> Cause:
    if finalizer == JOB_FINALIZER and (owner := controller_of(obj)):
        holder = Ref("jobs.batch", ref.namespace, str(owner.get("name")))
        return Cause("is Terminating until its Job has counted it", _show(ref), holder, "has not counted it yet")
    drop = kubectl(f"patch {ref.resource} {ref.name} --type=json", ref.namespace)
    patch = """-p '[{"op":"remove","path":"/metadata/finalizers/0"}]'"""
    says = f"is Terminating until its finalizer {finalizer} is removed by whoever put it there"
    return Cause(says, f"{drop} {patch} (if nobody does)")


def _foreground(ref: Ref, obj: Object, world: World) -> Cause:
    """Return the first dependent that blocks a deletion in the foreground."""
    for resource in ("pods", "replicasets.apps", "jobs.batch", "persistentvolumeclaims"):
        for each in world.list(resource, ref.namespace):
            blocks = (own.get("uid") == uid_of(obj) and own.get("blockOwnerDeletion") for own in owners_of(each))
            if any(blocks):
                holder = Ref(resource, ref.namespace, name_of(each))
                return Cause(
                    "is Terminating until what it owns is gone (foreground)", _show(holder), holder, "is still there"
                )
    return Cause("is Terminating until what it owns is gone (foreground)", _show(ref))


def _pod(pod: Object, world: World) -> Cause:
    namespace, name, node = namespace_of(pod), name_of(pod), node_of(pod)
    force = f"{kubectl(f'delete pod {name} --grace-period=0 --force', namespace)} (only if its node will not come back)"
    if node:
        holder = Ref("nodes", "", node)
        if is_absent_or_silent(holder, world):
            return Cause(f"is Terminating until node {node} says that it has ended", force, holder)
    metadata = metadata_of(pod)
    # The timestamp is when the grace period ends, not when the deletion was asked for.
    over = parse_time(str(metadata["deletionTimestamp"]))
    grace = metadata.get("deletionGracePeriodSeconds") or 0
    now = f"{kubectl(f'delete pod {name} --grace-period=1', namespace)} (to wait no longer)"
    left = min(int((over - world.now).total_seconds()) + 1, int(grace))
    if over > world.now:
        return Cause(
            f"is Terminating: its containers have {left} s left of their grace period of {grace} s",
            now,
        )
    told = f"its grace period of {grace} s is over, and node {node or '(none)'} has not said that it has ended"
    return Cause(f"is Terminating: {told}", kubectl(f"describe pod {name}", namespace))


def _namespace(namespace: Object, world: World) -> Cause:
    name = name_of(namespace)
    show = f"kubectl get namespace {name} -o yaml"
    for kind in _NAMESPACE:
        condition = condition_of(namespace, kind) or {}
        if condition.get("status") != "True":
            continue
        message = str(condition.get("message") or "")
        left = condition_of(namespace, "NamespaceContentRemaining") or {}
        holder = _content(name, str(left.get("message") or ""), world) if kind.endswith("Remaining") else None
        told = "is Terminating until all of its content is gone" if holder else f"is Terminating: {cut(message)}"
        return Cause(told, show, holder, "is still there")
    own = (namespace.get("spec") or {}).get("finalizers") or finalizers_of(namespace)
    foreign = [each for each in own if each != "kubernetes"]
    if foreign:
        return Cause(f"is Terminating until its finalizer {foreign[0]} is removed by whoever put it there", show)
    return Cause("is Terminating: its content is being deleted", show)


def _content(namespace: str, message: str, world: World) -> Ref | None:
    """Return an object that is left in a namespace: one that a finalizer holds before any other."""
    first: Ref | None = None
    for found in _REMAINING.finditer(message):
        resource = found[1].removesuffix(".")
        if not _is_listed(resource):
            return first
        for obj in world.list(resource, namespace):
            ref = Ref(resource, namespace, name_of(obj))
            if finalizers_of(obj) and is_terminating(obj):
                return ref
            first = first or ref
    return first


def _is_listed(resource: str) -> bool:
    """Tell whether objects of the resource can be read by id: custom ones can, too, by their group."""
    try:
        return bool(builtin(resource))
    except KeyError:
        return "." in resource
