"""On which nodes a DaemonSet runs, and the pod that it makes for a node.

The scheduler binds the pods; a required node affinity that names the node leaves it no choice.
Source: pkg/controller/daemon/daemon_controller.go NodeShouldRunDaemonPod, util/daemonset_util.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from moorage.objects import pods as pod_facts
from moorage.objects.metadata import Object, annotations_of, is_terminating, name_of
from moorage.objects.nodes import (
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    is_wanted_node,
    required_affinity_of,
    taints_of,
    untolerated_taint,
)
from moorage.objects.workloads import POD_REVISION, pod_from, template_of

#: The annotation by which a DaemonSet numbers its templates, and the label by which a pod names the number.
GENERATION: Final = "deprecated.daemonset.template.generation"
POD_GENERATION: Final = "pod-template-generation"

_TOLERATED: Final = (
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    (UNSCHEDULABLE, "NoSchedule"),
)
_HOST_NETWORK: Final = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class Fit(NamedTuple):
    """Whether a new pod belongs on a node, and whether one that is there may stay."""

    runs: bool
    stays: bool


def fit_of(workload: Object, node: Object) -> Fit:
    """Tell whether the DaemonSet has to do with a node."""
    template = template_of(workload)
    spec = template["spec"]
    if spec.get("nodeName", "") not in ("", name_of(node)) or not is_wanted_node(template, node):
        return Fit(runs=False, stays=False)
    tolerations = tolerations_for(spec)
    if untolerated_taint(taints_of(node), tolerations) is None:
        return Fit(runs=True, stays=True)
    evicting = [taint for taint in taints_of(node) if taint.get("effect") == "NoExecute"]
    return Fit(runs=False, stays=untolerated_taint(evicting, tolerations) is None)


def tolerations_for(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tolerations of the template, and those that every daemon pod has."""
    wanted = (*_TOLERATED, _HOST_NETWORK) if spec.get("hostNetwork") else _TOLERATED
    tolerations = list(spec.get("tolerations") or ())
    for key, effect in wanted:
        added = {"key": key, "operator": "Exists", "effect": effect}
        same = [
            number
            for number, each in enumerate(tolerations)
            if all((each.get(field) or "") == added.get(field, "") for field in ("key", "operator", "effect", "value"))
        ]
        if same:
            tolerations[same[0]] = added
        else:
            tolerations.append(added)
    return tolerations


def pod_for(workload: Object, node: str, hashed: str) -> dict[str, Any]:
    """Return the pod that the DaemonSet makes for a node."""
    template = template_of(workload)
    labels = {POD_REVISION: hashed}
    if number := generation_of_template(workload):
        labels[POD_GENERATION] = number
    affinity = template["spec"].get("affinity") or {}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    spec = {
        "affinity": {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), **required}},
        "tolerations": tolerations_for(template["spec"]),
    }
    return pod_from(template, workload, labels=labels, spec=spec)


def generation_of_template(workload: Object) -> str:
    """Return the number of the template, "" if the DaemonSet does not say."""
    text = annotations_of(workload).get(GENERATION, "")
    return str(int(text)) if text.isdecimal() else ""


def node_name_of(pod: Object) -> str:
    """Return the node that a daemon pod is on, or is meant for, "" if it says neither."""
    if node := pod_facts.node_of(pod):
        return node
    for term in (required_affinity_of(pod) or {}).get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            values: Sequence[str] = each.get("values") or ()
            if each.get("key") == "metadata.name" and each.get("operator") == "In" and len(values) == 1:
                return values[0]
    return ""


def pods_by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """Return the pods of each node; those that ended and are being deleted are gone already."""
    found: dict[str, list[Object]] = {}
    for pod in pods:
        leaving = pod_facts.is_finished(pod) and is_terminating(pod)
        if not leaving and (node := node_name_of(pod)):
            found.setdefault(node, []).append(pod)
    return found
