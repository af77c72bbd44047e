"""Admission policies and their bindings: what both sorts share.

Source: pkg/apis/admissionregistration/validation (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moorage.api.admission.policies.expressions import VARIABLE, Scopes, Uncompiled
from moorage.api.kinds.webhooks.rules import FAILURE_POLICIES, validate_conditions, validate_match
from moorage.objects.cel.escaping import RESERVED
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object, name_of
from moorage.objects.selector_rules import validate_label_selector
from moorage.objects.validation import (
    dns1035_label_problems,
    dns1123_subdomain_problems,
    each_invalid,
    forbidden,
    in_list,
    invalid,
    not_supported,
    path_segment_problems,
    required,
)

Part = Mapping[str, Any]

_NOT_FOUND_ACTIONS = ("Deny", "Allow")
_MIXED_CASE = "may have mixed case, but should otherwise match: "
_is_identifier = re.compile("[_a-zA-Z][_a-zA-Z0-9]*").fullmatch


#: Names with this ending belong to configurations that servers read from files.
_STATIC: Final = ".static.k8s.io"


def name_causes(obj: Object) -> list[Cause]:
    """Return why a policy or binding may not have its name."""
    name = name_of(obj)
    if not name.endswith(_STATIC):
        return []
    text = f'names ending with "{_STATIC}" are reserved for static manifest-based configurations and cannot be managed'
    return [invalid("metadata.name", name, f"{text} via the API")]


def validate_policy(spec: Part, scopes: Scopes) -> list[Cause]:
    """Return every broken rule of what policies of both sorts have; `scopes` learns their variables."""
    policy = spec.get("failurePolicy")
    causes = [required("spec.failurePolicy")] if policy is None else []
    if policy is not None:
        causes += in_list("spec.failurePolicy", policy, FAILURE_POLICIES)
    if (kind := spec.get("paramKind")) is not None:
        causes += _validate_param_kind("spec.paramKind", kind)
    match = spec.get("matchConstraints")
    if match is None:
        causes.append(required("spec.matchConstraints"))
    else:
        causes += validate_match("spec.matchConstraints", match)
        if not match.get("resourceRules"):
            causes.append(required("spec.matchConstraints.resourceRules"))
    conditions = spec.get("matchConditions") or ()
    causes += validate_conditions("spec.matchConditions", conditions, params=spec.get("paramKind") is not None)
    return causes + _validate_variables("spec.variables", spec.get("variables") or (), scopes)


def _validate_param_kind(path: str, kind: Part) -> list[Cause]:
    causes: list[Cause] = []
    api_version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    if not api_version:
        causes.append(required(f"{path}.apiVersion"))
    elif api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version}"
        causes.append(invalid(f"{path}.apiVersion", api_version, text))
    else:
        group, _, version = api_version.rpartition("/")
        if group:
            causes += each_invalid(f"{path}.apiVersion", group, dns1123_subdomain_problems(group))
        if not version:
            causes.append(invalid(f"{path}.apiVersion", version, "version must be specified"))
        else:
            causes += each_invalid(f"{path}.apiVersion", version, dns1035_label_problems(version))
    if not name:
        return [*causes, required(f"{path}.kind")]
    problems = [_MIXED_CASE + problem for problem in dns1035_label_problems(name.lower())]
    return causes + each_invalid(f"{path}.kind", name, problems)


def _validate_variables(path: str, variables: Sequence[Part], scopes: Scopes) -> list[Cause]:
    causes: list[Cause] = []
    for index, variable in enumerate(variables):
        place, name = f"{path}[{index}]", variable.get("name") or ""
        if not name.strip():
            causes.append(required(f"{place}.name", "name is not specified"))
        elif not _is_identifier(name) or name in RESERVED:
            causes.append(invalid(f"{place}.name", name, "must be a valid CEL identifier"))
        if not (variable.get("expression") or "").strip():
            causes.append(required(f"{place}.expression", "expression is not specified"))
            continue
        try:
            scopes.declare(name, scopes.plain.compiled(variable["expression"], VARIABLE).type)
        except Uncompiled as error:
            scopes.declare(name, None)
            causes.append(invalid(f"{place}.expression", variable["expression"], str(error)))
    return causes


def validate_binding(spec: Part) -> list[Cause]:
    """Return every broken rule of what bindings of both sorts have."""
    name = spec.get("policyName") or ""
    path = "spec.policyName"
    causes = each_invalid(path, name, dns1123_subdomain_problems(name)) if name else [required(path)]
    if (reference := spec.get("paramRef")) is not None:
        causes += _validate_param_ref("spec.paramRef", reference)
    if (match := spec.get("matchResources")) is not None:
        causes += validate_match("spec.matchResources", match)
    return causes


def _validate_param_ref(path: str, reference: Part) -> list[Cause]:
    name, selector, action = (reference.get(field) for field in ("name", "selector", "parameterNotFoundAction"))
    causes: list[Cause] = []
    if name:
        causes += each_invalid(f"{path}.name", name, path_segment_problems(name))
        if selector is not None:
            text = "name and selector are mutually exclusive"
            causes += [forbidden(f"{path}.{field}", text) for field in ("name", "selector")]
    if selector is not None:
        causes += validate_label_selector(f"{path}.selector", selector)
    if not name and selector is None:
        causes.append(required(path, "one of name or selector must be specified"))
    place = f"{path}.parameterNotFoundAction"
    if action is None:
        causes.append(required(place))
    elif action not in _NOT_FOUND_ACTIONS:
        causes.append(not_supported(place, action, _NOT_FOUND_ACTIONS))
    return causes


def param_kind_cell(obj: Object) -> str:
    """Return the kind of a policy's parameters as `v1/ConfigMap`."""
    kind = (obj.get("spec") or {}).get("paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion') or ''}/{kind.get('kind') or ''}"


def param_ref_cell(obj: Object) -> str:
    """Return where a binding's parameters are as `namespace/name`; a star stands for any."""
    reference = (obj.get("spec") or {}).get("paramRef")
    return "<unset>" if reference is None else f"{reference.get('namespace') or '*'}/{reference.get('name') or '*'}"
