"""Policy rules of RBAC as values: which cluster roles an aggregating one takes its rules from, and what they add up to.

Source: pkg/controller/clusterroleaggregation (v1.37).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.objects.metadata import Object, labels_of, name_of
from moorage.objects.selectors import parse_selector_object


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Mapping[str, Any]] | None:
    """Return the rules that a cluster role gathers from others by its aggregationRule, None if it has no such rule.

    Roles are taken in the order of their names, each rule once; a role never gathers from itself.
    """
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if not selectors:
        return None
    others = sorted((each for each in roles if name_of(each) != name_of(role)), key=name_of)
    rules: list[Mapping[str, Any]] = []
    for selector in selectors:
        is_taken = parse_selector_object(selector)
        for other in others:
            if is_taken(labels_of(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
