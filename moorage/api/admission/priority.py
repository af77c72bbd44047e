"""Pods get the number that their priority class stands for; there is one default class at most.

Source: plugin/pkg/admission/priority (v1.37).
"""

from moorage.api.admission.refusals import refused
from moorage.api.kind_rules import Lookup
from moorage.api.request import Draft, Request
from moorage.objects.metadata import Object, metadata_of, name_of

RESOURCES = frozenset({"pods", "priorityclasses.scheduling.k8s.io"})

_CLASSES = "priorityclasses.scheduling.k8s.io"
#: Classes that need no object.
SYSTEM_CLASSES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}


def mutate(draft: Draft, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Set priority and preemption policy of a new pod from its class."""
    if request.resource.plural != "pods" or request.subresource:
        return
    spec = draft["spec"]
    if old is not None:
        before = old["spec"]
        for field in ("priority", "preemptionPolicy"):
            if spec.get(field) is None and before.get(field) is not None:
                spec[field] = before[field]
        return
    name = spec.get("priorityClassName") or ""
    value, policy = 0, "PreemptLowerPriority"
    if name:
        found = lookup.get(_CLASSES, "", name)
        if found is None and name in SYSTEM_CLASSES:
            value = SYSTEM_CLASSES[name]
        elif found is None:
            raise refused(draft, request, f"no PriorityClass with name {name} was found")
        else:
            value, policy = _values(found)
    elif default := _default_class(lookup):
        spec["priorityClassName"] = name_of(default)
        value, policy = _values(default)
    _check_given(draft, request, value, policy)
    spec["priority"], spec["preemptionPolicy"] = value, policy


def _values(found: Object) -> tuple[int, str]:
    return found.get("value") or 0, found.get("preemptionPolicy") or "PreemptLowerPriority"


def _default_class(lookup: Lookup) -> Object | None:
    defaults = [each for each in lookup.list(_CLASSES) if each.get("globalDefault")]
    return min(defaults, key=lambda each: each.get("value") or 0, default=None)


def _check_given(draft: Draft, request: Request, value: int, policy: str) -> None:
    spec = draft["spec"]
    given = spec.get("priority")
    if given is not None and given != value:
        text = (
            f"the integer value of priority ({given}) must not be provided in pod spec; priority admission controller "
            f"computed {value} from the given PriorityClass name"
        )
        raise refused(draft, request, text)
    wanted = spec.get("preemptionPolicy")
    if wanted is not None and wanted != policy:
        text = (
            f"the string value of PreemptionPolicy ({wanted}) must not be provided in pod spec; priority admission "
            f"controller computed {policy} from the given PriorityClass name"
        )
        raise refused(draft, request, text)


def validate(obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
    """Refuse a second default class."""
    del old
    if request.resource.plural != "priorityclasses" or request.verb == "delete" or not obj.get("globalDefault"):
        return
    for other in lookup.list(_CLASSES):
        if other.get("globalDefault") and metadata_of(other).get("name") != name_of(obj):
            text = f"PriorityClass {name_of(other)} is already marked as default. Only one default can exist"
            raise refused(obj, request, text)
