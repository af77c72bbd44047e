"""What holds a StatefulSet up: its order stops at the first pod that is not there or not ready."""

from collections.abc import Mapping
from typing import Final

from moorage.controllers.statefulset import ordinal_in, ordinals_of, pod_name
from moorage.objects.metadata import Object, Ref, is_terminating, labels_of, name_of, namespace_of
from moorage.objects.pods import is_finished, is_ready
from moorage.objects.workloads import POD_REVISION
from moorage.why import refusals
from moorage.why.cause import Cause, kubectl
from moorage.why.workloads import is_unobserved, newest_failure, status_of, unobserved
from moorage.why.world import World

RESOURCE: Final = "statefulsets.apps"


def explain(workload: Object, world: World) -> Cause | None:
    """Return why a StatefulSet does not have its pods, or does not update them."""
    if is_unobserved(workload):
        return unobserved(RESOURCE, workload)
    pods = {name_of(pod): pod for pod in world.controlled("pods", workload)}
    wanted = [pod_name(workload, each) for each in ordinals_of(workload)]
    ready = sum(1 for each in wanted if each in pods and is_ready(pods[each]) and not is_terminating(pods[each]))
    says = f"has {ready} of {len(wanted)} pods ready"
    stuck = _broken_revision(workload, wanted, pods, says)
    return (
        stuck
        or _first_missing(workload, world, wanted, pods, says)
        or _condemned(workload, wanted, pods)
        or _rollout(workload, wanted, pods)
    )


def _broken_revision(workload: Object, wanted: list[str], pods: Mapping[str, Object], says: str) -> Cause | None:
    """Return the deadlock of an ordered set: a pod of a broken revision is waited for, though the template was mended."""
    update = str(status_of(workload).get("updateRevision") or "")
    if (workload.get("spec") or {}).get("podManagementPolicy") == "Parallel":
        return None
    current = str(status_of(workload).get("currentRevision") or "")
    for name in wanted:
        pod = pods.get(name)
        if pod is None or is_terminating(pod) or is_ready(pod):
            continue
        revision = str(labels_of(pod).get(POD_REVISION) or "")
        if revision == update or (revision == current and _is_startable(pod)):
            return None
        told = f"waits for pod {name} of the old revision {revision}, which is not ready, before it updates to {update}"
        mend = kubectl(f"delete pod {name}", namespace_of(workload))
        return Cause(f"{says}: it {told}", f"{mend} (it comes back with the new template)")
    return None


def _is_startable(pod: Object) -> bool:
    """Tell whether no container of the pod is known to be broken."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = [((each.get("state") or {}).get("waiting") or {}).get("reason") for each in states]
    return not any(reason not in (None, "ContainerCreating", "PodInitializing") for reason in waiting)


def _first_missing(
    workload: Object, world: World, wanted: list[str], pods: Mapping[str, Object], says: str
) -> Cause | None:
    namespace = namespace_of(workload)
    show = kubectl(f"describe statefulset {name_of(workload)}", namespace)
    for name in wanted:
        pod = pods.get(name)
        if pod is None:
            failed = newest_failure(world, workload, failed="FailedCreate", done="SuccessfulCreate")
            told = f"{says}: it cannot create {name}"
            reason = failed.partition("failed error: ")[2] or failed
            return (
                refusals.explain(told, reason, namespace, world, show)
                if failed
                else Cause(f"{says}: {name} is next", show)
            )
        if not is_ready(pod) or is_terminating(pod) or is_finished(pod):
            return Cause(f"{says} and waits for {name}", show, Ref("pods", namespace, name))
    return None


def _condemned(workload: Object, wanted: list[str], pods: Mapping[str, Object]) -> Cause | None:
    extra = [name for name in pods if name not in wanted]
    if not extra:
        return None
    last = max(extra, key=lambda name: ordinal_in(workload, name) or 0)
    show = kubectl(f"describe pod {last}", namespace_of(workload))
    return Cause(f"scales down and waits for {last} to be gone", show, Ref("pods", namespace_of(workload), last))


def _rollout(workload: Object, wanted: list[str], pods: Mapping[str, Object]) -> Cause | None:
    """Return what keeps pods at an older revision although all are ready."""
    update = status_of(workload).get("updateRevision")
    old = [name for name in wanted if labels_of(pods[name]).get(POD_REVISION) != update]
    if not update or not old:
        return None
    strategy = (workload.get("spec") or {}).get("updateStrategy") or {}
    name, namespace = name_of(workload), namespace_of(workload)
    if strategy.get("type") == "OnDelete":
        mend = kubectl(f"delete pod {old[-1]}", namespace)
        return Cause(
            f"has {len(old)} of {len(wanted)} pods at an older revision: strategy OnDelete waits until they are deleted",
            mend,
        )
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if partition:
        mend = (
            f"""patch statefulset {name} -p '{{"spec":{{"updateStrategy":{{"rollingUpdate":{{"partition":0}}}}}}}}'"""
        )
        return Cause(
            f"keeps {len(old)} of {len(wanted)} pods at an older revision: its partition is {partition}",
            kubectl(mend, namespace),
        )
    return Cause(
        f"is updating its pods: {len(old)} of {len(wanted)} are at an older revision",
        kubectl(f"rollout status statefulset/{name}", namespace),
    )
