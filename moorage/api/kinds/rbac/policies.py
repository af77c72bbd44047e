"""The rules of roles: what a policy rule must say.

Source: pkg/apis/rbac/validation (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.validation import invalid, required

Rule = Mapping[str, Any]

_RESOURCE_FIELDS = ("apiGroups", "resources", "resourceNames")


def validate_rules(rules: Sequence[Rule], *, namespaced: bool) -> list[Cause]:
    """Return every broken rule of policy rules; that verbs are missing is said last, as upstream does."""
    causes: list[Cause] = []
    for index, rule in enumerate(rules):
        causes += _validate_rule(f"rules[{index}]", rule, namespaced=namespaced)
    return causes + [required(f"rules[{index}].verbs") for index, rule in enumerate(rules) if not rule.get("verbs")]


def _validate_rule(path: str, rule: Rule, *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    if paths := rule.get("nonResourceURLs"):
        place = f"{path}.nonResourceURLs"
        if namespaced:
            causes.append(invalid(place, paths, "namespaced rules cannot apply to non-resource URLs"))
        if any(rule.get(field) for field in _RESOURCE_FIELDS):
            causes.append(invalid(place, paths, "rules cannot apply to both regular resources and non-resource URLs"))
        return causes
    if not rule.get("apiGroups"):
        causes.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        causes.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return causes
