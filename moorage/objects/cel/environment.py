"""What expressions of policies and of match conditions may name: variables, their types, types of objects.

Source: apiserver/pkg/admission/plugin/cel/compile.go, apiserver/pkg/cel/mutation (v1.37).
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from moorage.objects.cel.types import (
    BOOL,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    list_of,
    map_of,
    named_object,
)

_TEXTS: Final = list_of(STRING)
_KIND: Final = named_object("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_RESOURCE: Final = named_object(
    "kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING}
)
_USER: Final = named_object(
    "kubernetes.UserInfo", {"username": STRING, "uid": STRING, "groups": _TEXTS, "extra": map_of(STRING, _TEXTS)}
)

#: The type of `request`: an AdmissionRequest without its objects, which have variables of their own.
REQUEST: Final = named_object(
    "kubernetes.AdmissionRequest",
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)

_CONDITION: Final = named_object(
    "kubernetes.NamespaceCondition",
    {"status": STRING, "type": STRING, "lastTransitionTime": TIMESTAMP, "message": STRING, "reason": STRING},
)
_METADATA: Final = named_object(
    "kubernetes.NamespaceMetadata",
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "labels": map_of(STRING, STRING),
        "annotations": map_of(STRING, STRING),
        "UID": STRING,
        "creationTimestamp": TIMESTAMP,
        "deletionGracePeriodSeconds": INT,
        "deletionTimestamp": TIMESTAMP,
        "generation": INT,
        "resourceVersion": STRING,
        "finalizers": _TEXTS,
    },
)

#: The type of `namespaceObject`. The names are upstream's, `UID` too.
NAMESPACE: Final = named_object(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": named_object("kubernetes.NamespaceSpec", {"finalizers": _TEXTS}),
        "status": named_object("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)

_AUTHORIZER: Final = CelType("authorizer")
_RESOURCE_CHECK: Final = CelType("resourcecheck")

#: Types of variables that expressions see as they are; all others but lists and maps are anything.
_KEPT: Final = frozenset("bool bytes double duration int null_type string timestamp uint".split())

#: What an ApplyConfiguration and a JSONPatch must be.
OBJECT: Final = named_object("Object")
JSON_PATCH: Final = named_object("JSONPatch", {"op": STRING, "path": STRING, "from": STRING, "value": DYN})


@cache
def variables_for(*, params: bool, authorizer: bool = True) -> Mapping[str, CelType]:
    """Return the variables of an expression. params: the policy has a paramKind."""
    variables = {"object": DYN, "oldObject": DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
    if params:
        variables["params"] = DYN
    if authorizer:
        variables |= {"authorizer": _AUTHORIZER, "authorizer.requestResource": _RESOURCE_CHECK}
    return variables


def as_variable(found: CelType) -> CelType:
    """Return the type that expressions see of a variable whose expression is of a type."""
    if found.name == "list":
        return list_of(as_variable(found.args[0]))
    if found.name == "map":
        return map_of(as_variable(found.args[0]), as_variable(found.args[1]))
    return found if found.name in _KEPT else DYN


def composed(variables: Mapping[str, CelType]) -> CelType:
    """Return the type of `variables` when a policy has these."""
    return named_object("kubernetes.variables", dict(variables))


def struct_named(name: str) -> CelType | None:
    """Return the type of objects that mutations make: `Object`, `Object.spec.…`, `JSONPatch`; None for another name."""
    if name == "JSONPatch":
        return JSON_PATCH
    return named_object(name) if name == "Object" or name.startswith("Object.") else None
