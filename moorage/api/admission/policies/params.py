"""The parameters with which a binding uses a policy: one object by its name, or all that a selector takes.

Source: apiserver/pkg/admission/plugin/policy/generic/{policy_dispatcher,policy_source}.go (v1.37).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from moorage.api.kind_rules import Lookup
from moorage.objects.kinds import resource_of_kind
from moorage.objects.label_selectors import is_selected
from moorage.objects.metadata import Object, labels_of

Part = Mapping[str, Any]

_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"


class Misconfigured(Exception):
    """A policy or its binding cannot be used as it is written."""


class ParamSource(NamedTuple):
    """Where the parameters of a policy are. resource: as `lookup` names it."""

    api_version: str
    kind: str
    resource: str
    namespaced: bool


def source_of(kind: Part, lookup: Lookup) -> ParamSource:
    """Return where objects of a paramKind are. Raises Misconfigured if the kind is not served."""
    api_version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    built_in = resource_of_kind(api_version, name)
    if built_in is not None:
        return ParamSource(api_version, name, built_in.id, built_in.namespaced)
    group, _, version = api_version.rpartition("/")
    for definition in lookup.list(_DEFINITIONS) if group else ():
        spec = definition["spec"]
        served = (each["name"] for each in spec.get("versions") or () if each.get("served"))
        if spec["group"] == group and spec["names"]["kind"] == name and version in served:
            resource = f"{spec['names']['plural']}.{group}"
            return ParamSource(api_version, name, resource, spec.get("scope") == "Namespaced")
    shown = f"{api_version if group else f'/{api_version}'}, Kind={name}"
    raise Misconfigured(f"failed to find resource referenced by paramKind: '{shown}'")


def params_for(
    source: ParamSource | None, reference: Part | None, namespace: str, lookup: Lookup
) -> Sequence[Object | None]:
    """Return the parameters to use a policy with, one after the other; None stands for using it without.

    namespace: that of the write, "" for cluster-scoped objects. Raises Misconfigured, also if none are there and the
    binding denies then.
    """
    if source is None or reference is None:
        return [None]
    where = _namespace_for(source, reference, namespace)
    found: list[Object] = []
    if name := reference.get("name"):
        obj = lookup.get(source.resource, where, name)
        found = [obj] if obj is not None else []
    else:
        selector = reference.get("selector")
        found = [each for each in lookup.list(source.resource, where) if is_selected(selector, labels_of(each))]
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return [{**each, "apiVersion": source.api_version, "kind": source.kind} for each in found]


def _namespace_for(source: ParamSource, reference: Part, namespace: str) -> str:
    given: str = reference.get("namespace") or ""
    if not source.namespaced:
        if given:
            raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    if not given and not namespace:
        raise Misconfigured("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return given or namespace
