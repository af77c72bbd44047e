"""Whether the expressions of a validating policy fit the types of the objects that it matches.

Source: apiserver/pkg/admission/plugin/policy/validating/typechecking.go (v1.37).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from moorage.objects.cel.checker import check
from moorage.objects.cel.environment import as_variable, composed, variables_for
from moorage.objects.cel.object_types import Endless, object_type
from moorage.objects.cel.syntax import CelError, parse
from moorage.objects.cel.types import DYN, CelType
from moorage.objects.kinds import Resource, group_versions, resource_of_kind, resources_in
from moorage.objects.metadata import Object
from moorage.objects.schema import Type, type_from_structural, type_of

#: How many kinds one policy is checked against.
KINDS_MOST: Final = 10

#: Group, version, kind.
Kind = tuple[str, str, str]


def expression_warnings(spec: Mapping[str, Any], definitions: Sequence[Object]) -> Iterator[dict[str, str]]:
    """Yield what does not fit: the field of an expression, and why not, for each kind."""
    kinds = _kinds_of(spec, definitions)
    scopes = {kind: _scope(spec, each, definitions) for kind, each in kinds.items()} if kinds else {}
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field) or ""
            faults = [f"{_shown(kind)}: {fault}\n" for kind, scope in scopes.items() if (fault := _fault(text, scope))]
            if faults and text:
                yield {"fieldRef": f"spec.validations[{index}].{field}", "warning": "\n".join(faults)}


def _shown(kind: Kind) -> str:
    return f"{kind[0]}/{kind[1]}, Kind={kind[2]}"


def _fault(text: str, scope: Mapping[str, CelType]) -> str:
    try:
        check(text, parse(text), scope)
    except CelError as error:
        return str(error)
    return ""


def _scope(spec: Mapping[str, Any], found: CelType, definitions: Sequence[Object]) -> Mapping[str, CelType]:
    """Return the variables of a policy's expressions when the object is of a type."""
    kind = spec.get("paramKind")
    scope = {**variables_for(params=kind is not None), "object": found, "oldObject": found}
    if kind is not None:
        group, _, version = (kind.get("apiVersion") or "").rpartition("/")
        scope["params"] = _type_of((group, version, kind.get("kind") or ""), definitions) or DYN
    variables: dict[str, CelType] = {}
    for each in spec.get("variables") or ():
        scope["variables"] = composed(variables)
        text = each.get("expression") or ""
        try:
            variables[each["name"]] = as_variable(check(text, parse(text), scope))
        except CelError:
            variables[each["name"]] = DYN
    return {**scope, "variables": composed(variables)}


def _kinds_of(spec: Mapping[str, Any], definitions: Sequence[Object]) -> dict[Kind, CelType]:
    """Return the kinds that a policy names without stars, sorted, with their types."""
    kinds: set[Kind] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        kinds |= set(_kinds_of_rule(rule, definitions))
    types = {kind: _type_of(kind, definitions) for kind in sorted(kinds)[:KINDS_MOST]}
    return {kind: each for kind, each in types.items() if each is not None}


def _kinds_of_rule(rule: Mapping[str, Any], definitions: Sequence[Object]) -> Iterator[Kind]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if any("*" in each for each in (*groups, *versions)):
        return
    resources = [each for each in rule.get("resources") or () if "*" not in each and "/" not in each]
    for group in sorted(groups):
        for version in sorted(versions):
            for plural in sorted(resources):
                yield from ((row.group, version, row.kind) for row in _built_in(group, version, plural))
                yield from (
                    (group, version, each["spec"]["names"]["kind"])
                    for each in definitions
                    if (each["spec"]["group"], each["spec"]["names"]["plural"]) == (group, plural)
                )


def _built_in(group: str, version: str, plural: str) -> Iterator[Resource]:
    """Yield the built-in resources of a name; without a group those of all groups, as upstream's mapper finds them."""
    for api_version in group_versions():
        own, _, its_version = api_version.rpartition("/")
        if its_version == version and (not group or own == group) and plural in resources_in(api_version):
            yield resources_in(api_version)[plural]


def _type_of(kind: Kind, definitions: Sequence[Object]) -> CelType | None:
    """Return the type of a kind's objects, None if it is not known."""
    group, version, name = kind
    api_version = f"{group}/{version}" if group else version
    found = type_of(api_version, name) if resource_of_kind(api_version, name) else _defined(kind, definitions)
    try:
        return object_type(found) if found is not None else None
    except Endless:
        return None


def _defined(kind: Kind, definitions: Sequence[Object]) -> Type | None:
    group, version, name = kind
    for definition in definitions:
        spec = definition["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, name):
            for each in spec.get("versions") or ():
                if each["name"] == version and (each.get("schema") or {}).get("openAPIV3Schema"):
                    return type_from_structural(each["schema"]["openAPIV3Schema"])
    return None
