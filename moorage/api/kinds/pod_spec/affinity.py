"""Which nodes and neighbours a pod wants: affinity, tolerations, topology spread.

Source: pkg/apis/core/validation/validation.go, validateAffinity and its like (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.selector_rules import (
    validate_label_selector,
    validate_node_selector,
    validate_node_selector_term,
)
from moorage.objects.validation import (
    dns1123_label_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    label_value_problems,
    not_supported,
    qualified_name_problems,
    required,
)

Part = Mapping[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists", "Lt", "Gt")
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_NODE_POLICIES = ("Honor", "Ignore")


def validate_affinity(path: str, affinity: Part) -> list[Cause]:
    """Return every broken rule of an affinity."""
    causes: list[Cause] = []
    if node := affinity.get("nodeAffinity"):
        causes += _validate_node_affinity(f"{path}.nodeAffinity", node)
    for field in ("podAffinity", "podAntiAffinity"):
        if pods := affinity.get(field):
            causes += _validate_pod_affinity(f"{path}.{field}", pods)
    return causes


def _validate_node_affinity(path: str, affinity: Part) -> list[Cause]:
    causes: list[Cause] = []
    if (wanted := affinity.get(_REQUIRED)) is not None:
        causes += validate_node_selector(f"{path}.{_REQUIRED}", wanted)
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        place = f"{path}.{_PREFERRED}[{index}]"
        causes += _validate_weight(place, term)
        causes += validate_node_selector_term(f"{place}.preference", term.get("preference") or {})
    return causes


def _validate_weight(path: str, term: Part) -> list[Cause]:
    weight = term.get("weight") or 0
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _validate_pod_affinity(path: str, affinity: Part) -> list[Cause]:
    causes: list[Cause] = []
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        causes += _validate_term(f"{path}.{_REQUIRED}[{index}]", term)
    for index, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        place = f"{path}.{_PREFERRED}[{index}]"
        causes += _validate_weight(place, weighted)
        causes += _validate_term(f"{place}.podAffinityTerm", weighted.get("podAffinityTerm") or {})
    return causes


def _validate_term(path: str, term: Part) -> list[Cause]:
    causes = validate_label_selector(f"{path}.labelSelector", term.get("labelSelector"))
    causes += validate_label_selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        causes += each_invalid(f"{path}.namespace", name, dns1123_label_problems(name))
    causes += _validate_match_keys(path, term)
    key = term.get("topologyKey") or ""
    if not key:
        causes.append(required(f"{path}.topologyKey", "can not be empty"))
    return causes + each_invalid(f"{path}.topologyKey", key, qualified_name_problems(key))


def _validate_match_keys(path: str, term: Part) -> list[Cause]:
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    if not match and not mismatch:
        return []
    causes = _validate_keys(f"{path}.matchLabelKeys", match) + _validate_keys(f"{path}.mismatchLabelKeys", mismatch)
    selector = term.get("labelSelector")
    if selector is not None:
        used = _given_keys(selector, {*match, *mismatch})
        text = "exists in both matchLabelKeys and labelSelector"
        causes += [invalid(f"{path}[{index}]", key, text) for index, key in enumerate(match) if key in used]
    else:
        text = "must not be specified when labelSelector is not set"
        causes += [forbidden(f"{path}.matchLabelKeys", text)] if match else []
        causes += [forbidden(f"{path}.mismatchLabelKeys", text)] if mismatch else []
    text = "exists in both matchLabelKeys and mismatchLabelKeys"
    return causes + [
        invalid(f"{path}.matchLabelKeys[{index}]", key, text) for index, key in enumerate(match) if key in mismatch
    ]


def _given_keys(selector: Part, keys: set[str]) -> set[str]:
    """Return the keys that the client's selector has; requirements that `merge_match_keys` added do not count."""
    used = set(selector.get("matchLabels") or ())
    seen: set[str] = set()
    for each in selector.get("matchExpressions") or ():
        key = each.get("key") or ""
        is_merged = key in keys and each.get("operator") in {"In", "NotIn"} and len(each.get("values") or ()) == 1
        if not is_merged or key in seen:
            used.add(key)
        seen.add(key)
    return used


def merge_match_keys(spec: Part, labels: Mapping[str, str]) -> None:
    """Turn matchLabelKeys and mismatchLabelKeys of a new pod into requirements on its own labels, in place."""
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("matchLabelKeys"):
            _merge(constraint, labels)
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(field) or {}
        terms = [*(pods.get(_REQUIRED) or ())]
        terms += [each.get("podAffinityTerm") or {} for each in pods.get(_PREFERRED) or ()]
        for term in terms:
            if term.get("matchLabelKeys") or term.get("mismatchLabelKeys"):
                _merge(term, labels)


def _merge(term: dict[str, Any], labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    added = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels
    ]
    if added:
        term["labelSelector"] = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *added]}


def _validate_keys(path: str, keys: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    for index, key in enumerate(keys):
        causes += each_invalid(f"{path}[{index}]", key, qualified_name_problems(key))
    return causes


def validate_tolerations(path: str, tolerations: list[Part]) -> list[Cause]:
    """Return every broken rule of tolerations."""
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        causes += _validate_toleration(f"{path}[{index}]", toleration)
    return causes


def _validate_toleration(path: str, toleration: Part) -> list[Cause]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    causes = each_invalid(f"{path}.key", key, qualified_name_problems(key)) if key else []
    if not key and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        causes.append(invalid(f"{path}.operator", operator, text))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.append(invalid(f"{path}.effect", effect, text))
    causes += _validate_operator(f"{path}.operator", operator, value)
    if effect and effect not in EFFECTS:
        causes.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return causes


def _validate_operator(path: str, operator: str, value: str) -> list[Cause]:
    if operator in {"Equal", ""}:
        problems = label_value_problems(value)
        return [invalid(path, value, ";".join(problems))] if problems else []
    if operator == "Exists":
        return [invalid(path, value, "value must be empty when `operator` is 'Exists'")] if value else []
    # Lt and Gt wait for a feature gate that is off by default; the message names them all the same.
    allowed = _OPERATORS if operator in {"Lt", "Gt"} else _OPERATORS[:2]
    return [not_supported(path, operator, allowed)]


def validate_topology_spread(path: str, constraints: list[Part]) -> list[Cause]:
    """Return every broken rule of topology spread constraints."""
    causes: list[Cause] = []
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in constraints]
    for index, constraint in enumerate(constraints):
        place = f"{path}[{index}]"
        skew, key = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
        action = constraint.get("whenUnsatisfiable") or ""
        if skew <= 0:
            causes.append(invalid(f"{place}.maxSkew", skew, "must be greater than zero"))
        if not key:
            causes.append(required(f"{place}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            causes.append(not_supported(f"{place}.whenUnsatisfiable", action, _ACTIONS))
        if (key, action) in pairs[index + 1 :]:
            where = f"{place}.{{topologyKey, whenUnsatisfiable}}"
            causes.append(duplicate(where, f"{{{key}, {action}}}"))
        causes += _validate_spread_options(place, constraint, action)
    return causes


def _validate_spread_options(path: str, constraint: Part, action: str) -> list[Cause]:
    causes: list[Cause] = []
    if (least := constraint.get("minDomains")) is not None:
        if least <= 0:
            causes.append(invalid(f"{path}.minDomains", least, "must be greater than zero"))
        if action != "DoNotSchedule":
            text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            causes.append(invalid(f"{path}.minDomains", least, text))
    causes += [
        not_supported(f"{path}.{field}", constraint[field], _NODE_POLICIES)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy")
        if constraint.get(field) is not None and constraint[field] not in _NODE_POLICIES
    ]
    causes += _validate_spread_keys(path, constraint)
    return causes + validate_label_selector(f"{path}.labelSelector", constraint.get("labelSelector"))


def _validate_spread_keys(path: str, constraint: Part) -> list[Cause]:
    keys = constraint.get("matchLabelKeys") or []
    if not keys:
        return []
    place = f"{path}.matchLabelKeys"
    if constraint.get("labelSelector") is None:
        return [forbidden(place, "must not be specified when labelSelector is not set")]
    causes: list[Cause] = []
    for index, key in enumerate(keys):
        causes += each_invalid(f"{place}[{index}]", key, qualified_name_problems(key))
    return causes
