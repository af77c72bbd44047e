"""What holds for every kind: conditions that are not true, warnings; and what an object is when all is well."""

from typing import Any, Final

from moorage.objects.metadata import Object, Ref, condition_of, controller_of, name_of, namespace_of
from moorage.objects.pods import node_of, restarts_of
from moorage.objects.workloads import replicas_of
from moorage.why.cause import Cause, count, cut, kubectl
from moorage.why.services import is_of_the_cluster
from moorage.why.world import World

#: Conditions that are true for an object that is as wished.
_WISHED: Final = ("Ready", "Available", "Established", "Approved", "Accepted", "Programmed", "Synced", "Healthy")

#: Resources whose own rules say all there is to say: a warning of the past is no trouble of theirs.
COMPLETE: Final = frozenset(
    {
        "pods",
        "persistentvolumeclaims",
        "persistentvolumes",
        "deployments.apps",
        "replicasets.apps",
        "replicationcontrollers",
        "statefulsets.apps",
        "daemonsets.apps",
        "jobs.batch",
        "cronjobs.batch",
        "services",
        "nodes",
        "resourcequotas",
        "poddisruptionbudgets.policy",
        "customresourcedefinitions.apiextensions.k8s.io",
        "apiservices.apiregistration.k8s.io",
        "namespaces",
    }
)


def explain(ref: Ref, obj: Object, world: World) -> Cause | None:
    """Return what conditions and Events say against an object, None if they say nothing."""
    show = kubectl(f"describe {ref.resource} {name_of(obj)}", namespace_of(obj))
    for kind in _WISHED:
        condition = condition_of(obj, kind)
        if condition is not None and condition.get("status") in ("False", "Unknown"):
            told = ": ".join(str(part) for part in (condition.get("reason"), condition.get("message")) if part)
            return Cause(f"is not {kind}: {cut(told)}" if told else f"is not {kind}", show)
    if ref.resource == "certificatesigningrequests.certificates.k8s.io" and not (obj.get("status") or {}).get(
        "conditions"
    ):
        return Cause("waits for somebody's approval", f"kubectl certificate approve {name_of(obj)}")
    warning = world.warning(obj)
    return Cause(f"was warned about: {cut(warning)}", show) if warning else None


def state_of(resource: str, obj: Object) -> str:
    """Return what an object is now, to complete "Pod web-1 …"."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if resource == "pods":
        return _pod_state(obj, status)
    if resource in ("deployments.apps", "replicasets.apps", "statefulsets.apps", "replicationcontrollers"):
        return f"has {int(status.get('readyReplicas') or 0)} of {replicas_of(obj)} pods ready"
    if resource == "daemonsets.apps":
        return (
            f"has {int(status.get('numberReady') or 0)} of {int(status.get('desiredNumberScheduled') or 0)} pods ready"
        )
    if resource == "persistentvolumeclaims":
        return f"is bound to volume {spec.get('volumeName')}"
    if resource == "nodes":
        return "is ready and takes pods"
    if resource == "cronjobs.batch":
        return f'is scheduled at "{spec.get("schedule")}", last at {status.get("lastScheduleTime") or "no time yet"}'
    if resource == "jobs.batch":
        done = count(int(status.get("succeeded") or 0), "pod")
        return (
            f"is complete: {done} succeeded" if status.get("completionTime") else f"is running: {done} succeeded so far"
        )
    if resource == "services":
        return _service_state(obj, spec)
    return f"is {status['phase']}" if status.get("phase") else "is there"


def _service_state(service: Object, spec: Any) -> str:
    if spec.get("type") == "ExternalName":
        return f"is a name for {spec.get('externalName')}"
    return "is served by the cluster itself" if is_of_the_cluster(service) else "has ready endpoints"


def _pod_state(pod: Object, status: Any) -> str:
    if status.get("phase") == "Succeeded":
        return "has ended well"
    regular, sidecars = restarts_of(pod)
    times = max(regular, sidecars)
    after = f" after {count(times, 'restart')}" if times else ""
    owner = controller_of(pod)
    whose = f", for {owner['kind']} {owner['name']}" if owner is not None else ""
    return f"is Running and ready on {node_of(pod)}{after}{whose}"
