"""What can be said about a node and about which nodes a pod or a volume takes: selectors, taints, tolerations.

Nothing here decides what to do. Source: component-helpers/scheduling/corev1 (nodeaffinity, helpers.go), v1.37.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from moorage.objects.metadata import Object, condition_of, labels_of, name_of

#: The label by which nodes are told apart by their host.
HOSTNAME: Final = "kubernetes.io/hostname"

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"

#: Effects that keep a pod from being placed.
KEEPS_OUT: Final = frozenset({"NoSchedule", "NoExecute"})

_NOTHING: Mapping[str, Any] = {}


def taints_of(node: Object) -> Sequence[Object]:
    """Return the taints of a node in order."""
    return (node.get("spec") or _NOTHING).get("taints") or ()


def is_unschedulable(node: Object) -> bool:
    """Tell whether the node was cordoned."""
    return bool((node.get("spec") or _NOTHING).get("unschedulable"))


def is_node_ready(node: Object) -> bool:
    """Tell whether the condition Ready is true."""
    condition = condition_of(node, "Ready")
    return condition is not None and condition.get("status") == "True"


def tolerations_of(pod: Object) -> Sequence[Object]:
    """Return the tolerations of a pod in order."""
    return (pod.get("spec") or _NOTHING).get("tolerations") or ()


def is_tolerated_by(toleration: Object, taint: Object) -> bool:
    """Tell whether a toleration accepts a taint."""
    effect = toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    key = toleration.get("key")
    if key and key != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def tolerating(tolerations: Iterable[Object], taint: Object) -> list[Object]:
    """Return the tolerations that accept a taint."""
    return [each for each in tolerations if is_tolerated_by(each, taint)]


def untolerated_taint(taints: Iterable[Object], tolerations: Sequence[Object]) -> Object | None:
    """Return the first taint that keeps a pod with these tolerations out, None if there is none."""
    for taint in taints:
        if taint.get("effect") in KEEPS_OUT and not any(is_tolerated_by(each, taint) for each in tolerations):
            return taint
    return None


def is_node_selected(selector: Object | None, node: Object) -> bool:
    """Tell whether a NodeSelector takes the node. No selector takes every node, one without terms takes none."""
    return is_place_selected(selector, labels_of(node), name_of(node))


def is_place_selected(selector: Object | None, labels: Mapping[str, str], name: str = "") -> bool:
    """Tell whether a NodeSelector takes a node of these labels and this name: one of its terms must."""
    if selector is None:
        return True
    return any(is_term_met(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def is_term_met(term: Object, labels: Mapping[str, str], name: str) -> bool:
    """Tell whether a node meets all requirements of a NodeSelectorTerm; an empty term takes nothing."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    if fields and not all(_is_met(each, {"metadata.name": name}) for each in fields):
        return False
    return all(_is_met(each, labels) for each in expressions)


def required_affinity_of(pod: Object) -> Object | None:
    """Return the NodeSelector that a pod requires, None if there is none."""
    affinity = ((pod.get("spec") or _NOTHING).get("affinity") or _NOTHING).get("nodeAffinity") or _NOTHING
    found: Object | None = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return found


def is_wanted_node(pod: Object, node: Object) -> bool:
    """Tell whether `nodeSelector` and the required node affinity of a pod both take the node."""
    wanted = (pod.get("spec") or _NOTHING).get("nodeSelector") or _NOTHING
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return is_node_selected(required_affinity_of(pod), node)


def _is_met(requirement: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement["key"])
    values: Sequence[str] = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return value is not None and len(values) == 1 and _compares(requirement["operator"], value, values[0])
        case _:
            return False


def _compares(operator: str, value: str, limit: str) -> bool:
    try:
        left, right = int(value), int(limit)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right
