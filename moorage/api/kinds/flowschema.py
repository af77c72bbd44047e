"""FlowSchemas: which requests belong to which priority level.

Source: pkg/apis/flowcontrol/validation, pkg/printers (v1.37).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api.kind_rules import Lookup
from moorage.api.kinds.flow.mandatory import FLOW_SCHEMAS
from moorage.api.kinds.workload.cells import age_of
from moorage.api.request import Draft, Request
from moorage.objects.errors import Cause
from moorage.objects.internal_form import internal_form
from moorage.objects.metadata import Object, condition_of, name_of
from moorage.objects.validation import (
    dns1123_label_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)

Part = Mapping[str, Any]

PRECEDENCE_MOST = 10000

_METHODS = ("ByNamespace", "ByUser")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")


def prepare_create(draft: Draft, request: Request, lookup: Lookup) -> None:
    """Start without a status."""
    del request, lookup
    draft["status"] = {}


def validate(obj: Object, request: Request) -> list[Cause]:
    """Return every broken rule of a FlowSchema."""
    del request
    spec = obj.get("spec") or {}
    causes = _validate_mandatory(name_of(obj), spec)
    causes += _validate_precedence(name_of(obj), spec.get("matchingPrecedence") or 0)
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        shown = internal_form("Distinguisher", method)
        causes.append(not_supported("spec.distinguisherMethod.type", shown, _METHODS))
    path, level = "spec.priorityLevelConfiguration.name", (spec.get("priorityLevelConfiguration") or {}).get("name")
    if level:
        causes += each_invalid(path, level, dns1123_subdomain_problems(level))
    else:
        causes.append(required(path, "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        causes += _validate_rule(f"spec.rules[{index}]", rule)
    return causes + _validate_conditions(obj)


def _validate_mandatory(name: str, spec: Part) -> list[Cause]:
    fixed = FLOW_SCHEMAS.get(name)
    shown = internal_form("FlowSchemaSpec", spec)
    if fixed is None or shown == internal_form("FlowSchemaSpec", fixed):
        return []
    if shown and shown["Rules"] is None:
        shown = {**shown, "Rules": []}
    return [invalid("spec", shown, f"spec of '{name}' must equal the fixed value")]


def _validate_precedence(name: str, number: int) -> list[Cause]:
    path = "spec.matchingPrecedence"
    if number <= 0:
        return [invalid(path, number, "must be a positive value")]
    if number > PRECEDENCE_MOST:
        return [invalid(path, number, f"must not be greater than {PRECEDENCE_MOST}")]
    if number == 1 and name != "exempt":
        return [invalid(path, number, "only the schema named 'exempt' may have matchingPrecedence 1")]
    return []


def _validate_rule(path: str, rule: Part) -> list[Cause]:
    causes: list[Cause] = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        causes.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects):
        causes += _validate_subject(f"{path}.subjects[{index}]", subject)
    resources, pages = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not pages:
        causes.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for index, each in enumerate(resources):
        causes += _validate_resource_rule(f"{path}.resourceRules[{index}]", each)
    for index, each in enumerate(pages):
        causes += _validate_page_rule(f"{path}.nonResourceRules[{index}]", each)
    return causes


def _validate_subject(path: str, subject: Part) -> list[Cause]:
    kind = subject.get("kind") or ""
    if kind not in _SUBJECTS:
        return [not_supported(f"{path}.kind", kind, _SUBJECTS)]
    own = _SUBJECTS[kind]
    causes: list[Cause] = []
    if (named := subject.get(own)) is None:
        causes.append(required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'"))
    elif kind == "ServiceAccount":
        causes += _validate_account(f"{path}.{own}", named)
    elif not named.get("name"):
        causes.append(required(f"{path}.{own}.name"))
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            text = f"{field} is forbidden when subject kind is not '{other}'"
            causes.append(forbidden(f"{path}.{field}", text))
    return causes


def _validate_account(path: str, account: Part) -> list[Cause]:
    name, namespace = account.get("name") or "", account.get("namespace") or ""
    causes = [] if name else [required(f"{path}.name")]
    if name and name != "*":
        causes += each_invalid(f"{path}.name", name, dns1123_subdomain_problems(name))
    if not namespace:
        return [*causes, required(f"{path}.namespace", "must specify namespace for service account")]
    return causes + each_invalid(f"{path}.namespace", namespace, dns1123_label_problems(namespace))


def _validate_list(path: str, words: Sequence[str], missing: str, others: str) -> list[Cause]:
    """Return the causes of a list that is empty, or has more than the star that stands for everything."""
    if not words:
        return [required(path, missing)]
    if len(words) > 1 and "*" in words:
        return [invalid(path, words, f"if '*' is present, must not specify other {others}")]
    return []


def _validate_verbs(path: str, verbs: Sequence[str]) -> list[Cause]:
    causes = _validate_list(path, verbs, "verbs must contain at least one value", "verbs")
    if not causes and set(verbs) - {"*", *_VERBS}:
        causes.append(not_supported(path, verbs, _VERBS))
    return causes


def _validate_resource_rule(path: str, rule: Part) -> list[Cause]:
    causes = _validate_verbs(f"{path}.verbs", rule.get("verbs") or ())
    groups, resources, namespaces = (rule.get(field) or [] for field in ("apiGroups", "resources", "namespaces"))
    missing = "resource rules must supply at least one"
    causes += _validate_list(f"{path}.apiGroups", groups, f"{missing} api group", "api groups")
    causes += _validate_list(f"{path}.resources", resources, f"{missing} resource", "resources")
    place = f"{path}.namespaces"
    if not namespaces:
        if not rule.get("clusterScope"):
            text = "resource rules that are not cluster scoped must supply at least one namespace"
            causes.append(required(place, text))
        return causes
    causes += _validate_list(place, namespaces, "", "namespaces")
    for index, name in enumerate(namespaces):
        if name != "*":
            start = "each member of this list must be '*' or a DNS-1123 label; "
            problems = [start + problem for problem in dns1123_label_problems(name)]
            causes += each_invalid(f"{place}[{index}]", name, problems)
    return causes


def _validate_page_rule(path: str, rule: Part) -> list[Cause]:
    causes = _validate_verbs(f"{path}.verbs", rule.get("verbs") or ())
    place, pages = f"{path}.nonResourceURLs", rule.get("nonResourceURLs") or []
    found = _validate_list(place, pages, "nonResourceURLs must contain at least one value", "non-resource URLs")
    if found:
        return causes + found
    for index, page in enumerate(pages):
        if page != "*" and (problem := _page_problem(page)):
            causes.append(invalid(f"{place}[{index}]", page, problem))
    return causes


def _page_problem(page: str) -> str:
    if not page:
        return "must not be empty"
    if page == "/":
        return ""
    if not page.startswith("/"):
        return "must start with slash"
    if " " in page:
        return "must not contain white-space"
    if "//" in page:
        return "must not contain double slash"
    return "wildcard can only do suffix matching" if "*" in page.removesuffix("/*") else ""


def _validate_conditions(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{index}].type", condition.get("type") or ""
        if kind in seen:
            causes.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            causes.append(required(path))
    return causes


def validate_status(obj: Object, old: Object, request: Request) -> list[Cause]:
    """Return what a status may not say."""
    del old, request
    return _validate_conditions(obj)


def cells(obj: Object, now: datetime) -> list[Any]:
    """Return name, priority level, precedence, how flows are told apart, age, whether the level is missing."""
    spec = obj.get("spec") or {}
    dangling = condition_of(obj, "Dangling")
    return [
        name_of(obj),
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        spec.get("matchingPrecedence") or 0,
        (spec.get("distinguisherMethod") or {}).get("type") or "<none>",
        age_of(obj, now),
        (dangling or {}).get("status") or "?",
    ]
