"""Rules that say which requests a webhook or policy is about.

Source: pkg/apis/admissionregistration/validation (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.admission.policies.expressions import condition_causes
from moorage.objects.errors import Cause
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import (
    duplicate,
    each_invalid,
    in_list,
    invalid,
    not_supported,
    path_segment_problems,
    qualified_name_problems,
    required,
    too_many,
)

Part = Mapping[str, Any]

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
MATCH_POLICIES = ("Equivalent", "Exact")
FAILURE_POLICIES = ("Fail", "Ignore")

#: How many conditions one webhook or policy may have.
CONDITIONS_MOST = 64


def validate_rule(path: str, rule: Part, operations: Sequence[str] = OPERATIONS) -> list[Cause]:
    """Return every broken rule of operations, groups, versions and resources."""
    asked = rule.get("operations") or []
    causes = [] if asked else [required(f"{path}.operations")]
    if len(asked) > 1 and "*" in asked:
        causes.append(invalid(f"{path}.operations", asked, "if '*' is present, must not specify other operations"))
    for index, operation in enumerate(asked):
        causes += in_list(f"{path}.operations[{index}]", operation, operations)
    for field, words in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or []
        if not values:
            causes.append(required(f"{path}.{field}"))
        if len(values) > 1 and "*" in values:
            causes.append(invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {words}"))
    for index, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            causes.append(required(f"{path}.apiVersions[{index}]"))
    causes += _validate_resources(f"{path}.resources", rule.get("resources") or [])
    if (scope := rule.get("scope")) is not None:
        causes += in_list(f"{path}.scope", scope, SCOPES)
    return causes


def _validate_resources(path: str, resources: Sequence[str]) -> list[Cause]:
    causes = [] if resources else [required(path)]
    starred_resources: set[str] = set()
    starred_subresources: set[str] = set()
    for index, text in enumerate(resources):
        place = f"{path}[{index}]"
        if not text:
            causes.append(required(place))
        resource, slash, subresource = text.partition("/")
        if not slash:
            continue
        if resource in starred_subresources:
            causes.append(invalid(place, text, f"if '{resource}/*' is present, must not specify {text}"))
        if subresource in starred_resources:
            causes.append(invalid(place, text, f"if '*/{subresource}' is present, must not specify {text}"))
        if subresource == "*":
            starred_subresources.add(resource)
        if resource == "*":
            starred_resources.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        causes.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and any("/" not in text and text != "*" for text in resources):
        text = "if '*' is present, must not specify other resources without subresources"
        causes.append(invalid(path, resources, text))
    return causes


def validate_match(path: str, match: Part, operations: Sequence[str] = OPERATIONS) -> list[Cause]:
    """Return every broken rule of what a policy or its binding matches."""
    causes: list[Cause] = []
    policy = match.get("matchPolicy")
    if policy is None:
        causes.append(required(f"{path}.matchPolicy"))
    elif policy not in MATCH_POLICIES:
        causes.append(not_supported(f"{path}.matchPolicy", policy, MATCH_POLICIES))
    for field in ("namespaceSelector", "objectSelector"):
        if (selector := match.get(field)) is None:
            causes.append(required(f"{path}.{field}"))
        else:
            causes += validate_label_selector(f"{path}.{field}", selector)
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(field) or ()):
            place = f"{path}.{field}[{index}]"
            causes += _validate_names(f"{place}.resourceNames", rule.get("resourceNames") or ())
            causes += validate_rule(place, rule, operations)
    return causes


def _validate_names(path: str, names: Sequence[str]) -> list[Cause]:
    causes: list[Cause] = []
    for index, name in enumerate(names):
        causes += each_invalid(f"{path}[{index}]", name, path_segment_problems(name))
        if name in names[:index]:
            causes.append(duplicate(f"{path}[{index}]", name))
    return causes


def validate_conditions(path: str, conditions: Sequence[Part], *, params: bool = False) -> list[Cause]:
    """Return every broken rule of match conditions. params: their expressions may name `params`."""
    causes: list[Cause] = []
    if len(conditions) > CONDITIONS_MOST:
        causes.append(too_many(path, len(conditions), CONDITIONS_MOST))
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        place, name = f"{path}[{index}]", condition.get("name") or ""
        if not (condition.get("expression") or "").strip():
            causes.append(required(f"{place}.expression"))
        else:
            causes += condition_causes(f"{place}.expression", condition["expression"].strip(), params=params)
        if not name:
            causes.append(required(f"{place}.name"))
            continue
        causes += each_invalid(f"{place}.name", name, qualified_name_problems(name))
        if name in names:
            causes.append(duplicate(f"{place}.name", name))
        names.add(name)
    return causes
