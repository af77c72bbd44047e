"""Which writes the matchConstraints of a policy and the matchResources of its binding select.

Source: apiserver/pkg/admission/plugin/policy/matching, …/webhook/predicates (v1.37).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from moorage.api.admission.policies.calls import Call
from moorage.api.kind_rules import Lookup
from moorage.objects.errors import not_found
from moorage.objects.kinds import Resource, group_versions, resources_in
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, labels_of

Part = Mapping[str, Any]

#: Kinds that policies never see, so that nobody locks himself out.
EXEMPT: Final = frozenset(
    f"{plural}.admissionregistration.k8s.io"
    for plural in (
        *("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
        *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        *("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
    )
)


def selected(match: Part | None, call: Call, lookup: Lookup) -> Resource | None:
    """Return the resource as which a call is selected, None if it is not. Raises NotFound for a missing namespace."""
    if match is None:
        return call.resource
    if not _is_object_selected(match.get("objectSelector"), call):
        return None
    if _matched(match.get("excludeResourceRules") or (), match, call) is not None:
        return None
    rules = match.get("resourceRules") or ()
    resource = _matched(rules, match, call) if rules else call.resource
    if resource is None or not _is_namespace_selected(match.get("namespaceSelector"), call, lookup):
        return None
    return resource


def may_select(match: Part | None, resource: Resource) -> bool:
    """Tell whether the rules may select anything of a resource, in whatever version."""
    rules = (match or {}).get("resourceRules") or ()
    return not rules or any(
        _has(rule.get("apiGroups") or (), resource.group)
        and any(each.partition("/")[0] in ("*", resource.plural) for each in rule.get("resources") or ())
        for rule in rules
    )


def _matched(rules: Sequence[Part], match: Part, call: Call) -> Resource | None:
    if any(_is_match(rule, call, call.resource) for rule in rules):
        return call.resource
    if match.get("matchPolicy") == "Exact":
        return None
    for rule in rules:
        for other in _equivalents(call.resource):
            if _is_match(rule, call, other):
                return other
    return None


def _equivalents(resource: Resource) -> list[Resource]:
    """Return a resource in its other versions."""
    if resource.custom:
        versions = resource.rules.versions if hasattr(resource.rules, "versions") else ()
        return [replace(resource, version=each) for each in versions if each != resource.version]
    found = [
        resources_in(api_version).get(resource.plural)
        for api_version in group_versions()
        if api_version.rpartition("/")[0] == resource.group and api_version != resource.api_version
    ]
    return [each for each in found if each is not None]


def _is_match(rule: Part, call: Call, resource: Resource) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        _is_in_scope(rule.get("scope") or "*", call)
        and _has(rule.get("operations") or (), call.operation)
        and _has(rule.get("apiGroups") or (), resource.group)
        and _has(rule.get("apiVersions") or (), resource.version)
        and any(_is_named(each, resource.plural, call.subresource) for each in rule.get("resources") or ())
        and (not names or call.name in names)
    )


def _is_named(text: str, plural: str, subresource: str) -> bool:
    resource, _, sub = text.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)


def _has(items: Sequence[str], wanted: str) -> bool:
    return "*" in items or wanted in items


def _is_in_scope(scope: str, call: Call) -> bool:
    namespaced = call.resource.id != "namespaces" and bool(call.namespace)
    return scope == "*" or (scope == "Namespaced") == namespaced


def _is_object_selected(selector: Object | None, call: Call) -> bool:
    if not selector:
        return True
    return any(is_selected(selector, labels_of(each)) for each in (call.obj, call.old) if each is not None)


def _is_namespace_selected(selector: Object | None, call: Call, lookup: Lookup) -> bool:
    if not selector or not (call.namespace or call.resource.id == "namespaces"):
        return True
    if call.resource.id == "namespaces" and not call.subresource and call.operation in ("CREATE", "UPDATE"):
        return is_selected(selector, labels_of(call.obj or {}))
    namespace = lookup.get("namespaces", "", call.namespace)
    if namespace is None:
        raise not_found("namespaces", "", call.namespace)
    return is_selected(selector, labels_of(namespace))
