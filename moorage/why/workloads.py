"""Why a Deployment, ReplicaSet, ReplicationController or DaemonSet does not have the pods that it wants."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from moorage.controllers.deployment.replica_sets import split
from moorage.objects.metadata import Object, Ref, condition_of, generation_of, name_of, namespace_of
from moorage.objects.pods import is_active, is_ready
from moorage.objects.workloads import replicas_of
from moorage.why import refusals
from moorage.why.cause import Cause, cut, kind_of, kubectl
from moorage.why.world import World

REPLICA_SETS: Final = "replicasets.apps"
DEPLOYMENTS: Final = "deployments.apps"
DAEMON_SETS: Final = "daemonsets.apps"


def status_of(obj: Object) -> Any:
    """Return the status, empty if there is none."""
    return obj.get("status") or {}


def is_unobserved(workload: Object) -> bool:
    """Tell whether the controller has not seen the newest spec yet."""
    return int(status_of(workload).get("observedGeneration") or 0) < generation_of(workload)


def unobserved(resource: str, workload: Object) -> Cause:
    """Return the cause for a workload that its controller has not looked at."""
    show = kubectl(f"describe {resource.partition('.')[0]} {name_of(workload)}", namespace_of(workload))
    return Cause(f"has changed, and the controller of {kind_of(resource)}s has not looked at it yet", show)


def first_bad(pods: Iterable[Object]) -> Object | None:
    """Return the first active pod that is not ready, in the order given."""
    return next((pod for pod in pods if is_active(pod) and not is_ready(pod)), None)


def explain_deployment(workload: Object, world: World) -> Cause | None:
    """Return why a Deployment has not rolled out its newest template."""
    name, namespace, wanted = name_of(workload), namespace_of(workload), replicas_of(workload)
    status = status_of(workload)
    if is_unobserved(workload):
        return unobserved(DEPLOYMENTS, workload)
    ready, updated = int(status.get("availableReplicas") or 0), int(status.get("updatedReplicas") or 0)
    extra = int(status.get("replicas") or 0) - updated
    progress = condition_of(workload, "Progressing") or {}
    is_late = progress.get("reason") == "ProgressDeadlineExceeded"
    if ready >= wanted and updated >= wanted and extra <= 0:
        return None
    if (workload.get("spec") or {}).get("paused"):
        return Cause(
            f"has {updated} of {wanted} pods updated: its rollout is paused",
            kubectl(f"rollout resume deployment/{name}", namespace),
        )
    late = " and is beyond its progress deadline" if is_late else ""
    says = f"has {ready} of {wanted} pods available{late}"
    sets = split(workload, world.controlled(REPLICA_SETS, workload))
    show = kubectl(f"rollout status deployment/{name}", namespace)
    if sets.new is None:
        failed = world.warning(workload, "ReplicaSetCreateError")
        return (
            refusals.explain(f"{says}: it cannot create its ReplicaSet", failed, namespace, world, show)
            if failed
            else Cause(says, show)
        )
    told = f"{updated} of {wanted} updated" if updated < wanted else f"{extra} of older templates are still there"
    if ready >= wanted:
        says = f"is still rolling out: {told}{late}"
    return Cause(says, show, Ref(REPLICA_SETS, namespace, name_of(sets.new)))


def explain_replica_set(workload: Object, world: World) -> Cause | None:
    """Return why a ReplicaSet or ReplicationController has not all its pods ready."""
    namespace, name, wanted = namespace_of(workload), name_of(workload), replicas_of(workload)
    status = status_of(workload)
    ready, there = int(status.get("readyReplicas") or 0), int(status.get("replicas") or 0)
    plural = "replicationcontrollers" if workload.get("kind") == "ReplicationController" else REPLICA_SETS
    show = kubectl(f"describe {plural.partition('.')[0]} {name}", namespace)
    if is_unobserved(workload):
        return unobserved(plural, workload)
    failure = condition_of(workload, "ReplicaFailure") or {}
    if failure.get("status") == "True":
        what = "create" if failure.get("reason") == "FailedCreate" else "delete"
        says = f"cannot {what} pods ({there} of {wanted} are there)"
        return refusals.explain(says, str(failure.get("message") or ""), namespace, world, show)
    if there == wanted and ready >= wanted:
        return None
    bad = first_bad(world.controlled("pods", workload))
    holder = Ref("pods", namespace, name_of(bad)) if bad is not None else None
    return Cause(f"has {ready} of {wanted} pods ready", show, holder)


def explain_daemon_set(workload: Object, world: World) -> Cause | None:
    """Return why a DaemonSet does not run on all its nodes."""
    namespace, name, status = namespace_of(workload), name_of(workload), status_of(workload)
    show = kubectl(f"describe daemonset {name}", namespace)
    if is_unobserved(workload):
        return unobserved(DAEMON_SETS, workload)
    wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    updated = int(status.get("updatedNumberScheduled") or 0)
    if not wanted:
        nodes = world.list("nodes")
        return Cause(
            f"runs nowhere: none of {len(nodes)} nodes matches its node selector and tolerations",
            "kubectl get nodes --show-labels",
        )
    failed = world.warning(workload, "FailedCreate") if int(status.get("currentNumberScheduled") or 0) < wanted else ""
    says = f"has {ready} of {wanted} pods ready"
    if failed:
        return refusals.explain(
            f"{says}: it cannot create pods", failed.removeprefix("Error creating: "), namespace, world, show
        )
    if ready < wanted:
        bad = first_bad(world.controlled("pods", workload))
        return Cause(says, show, Ref("pods", namespace, name_of(bad)) if bad is not None else None)
    strategy = ((workload.get("spec") or {}).get("updateStrategy") or {}).get("type")
    if updated < wanted and strategy == "OnDelete":
        return Cause(
            f"has {updated} of {wanted} pods updated: strategy OnDelete waits until its pods are deleted", show
        )
    return Cause(f"has {updated} of {wanted} pods updated", show) if updated < wanted else None


def newest_failure(world: World, workload: Object, *, failed: str, done: str) -> str:
    """Return the newest failure to create something, "" if a success came after it."""
    for event in world.events(workload):
        if event.get("reason") == done:
            return ""
        if event.get("reason") == failed:
            return str(event.get("message") or "")
    return ""


def names(objects: Sequence[Object], most: int = 3) -> str:
    """Return names as "a, b, c and 4 more"."""
    shown = [name_of(each) for each in objects[:most]]
    more = len(objects) - len(shown)
    return cut(", ".join(shown) + (f" and {more} more" if more else ""))
