"""Request bodies held against the type that the endpoint takes: of which kind they are, and what is odd about their text.

Source: apimachinery/pkg/runtime/serializer (json, versioning), apiserver/pkg/endpoints/handlers/create.go (v1.37).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from moorage.api.request import Draft, Request
from moorage.objects.decoding import Decoded, decode_object
from moorage.objects.errors import BadRequest, Cause, invalid
from moorage.objects.kinds import Resource
from moorage.objects.schema import Type, type_of

#: Versions that upstream's scheme knows but does not serve: a body in one of them is of another version, not unknown.
KNOWN_VERSIONS: Final = frozenset(
    {
        "admissionregistration.k8s.io/v1alpha1",
        "admissionregistration.k8s.io/v1beta1",
        "apiextensions.k8s.io/v1beta1",
        "apps/v1beta1",
        "apps/v1beta2",
        "authentication.k8s.io/v1alpha1",
        "authentication.k8s.io/v1beta1",
        "authorization.k8s.io/v1beta1",
        "autoscaling/v2beta1",
        "autoscaling/v2beta2",
        "batch/v1beta1",
        "certificates.k8s.io/v1alpha1",
        "certificates.k8s.io/v1beta1",
        "coordination.k8s.io/v1alpha2",
        "coordination.k8s.io/v1beta1",
        "discovery.k8s.io/v1beta1",
        "events.k8s.io/v1beta1",
        "extensions/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "networking.k8s.io/v1beta1",
        "node.k8s.io/v1alpha1",
        "node.k8s.io/v1beta1",
        "policy/v1beta1",
        "rbac.authorization.k8s.io/v1alpha1",
        "rbac.authorization.k8s.io/v1beta1",
        "resource.k8s.io/v1alpha3",
        "resource.k8s.io/v1beta1",
        "resource.k8s.io/v1beta2",
        "scheduling.k8s.io/v1alpha1",
        "scheduling.k8s.io/v1beta1",
        "storage.k8s.io/v1alpha1",
        "storage.k8s.io/v1beta1",
        "storagemigration.k8s.io/v1alpha1",
        "storagemigration.k8s.io/v1beta1",
    }
)


class Unreadable(BadRequest):
    """The body is not an object of the expected kind; `why` says it without naming the kind."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(f"{subject}: {why}")
        self.why = why


class Expected(NamedTuple):
    """What an endpoint takes. type: None if nothing is known about it."""

    api_version: str
    kind: str
    type: Type | None
    custom: bool = False


def expected_of(resource: Resource, subresource: str) -> Expected:
    """Return what an endpoint takes: the resource itself, or the kind of a subresource, such as Scale or Eviction."""
    if not subresource:
        return Expected(
            resource.api_version, resource.kind, type_of(resource.api_version, resource.kind), resource.custom
        )
    row = resource.subresources[subresource]
    api_version = f"{row.group}/{row.version}" if row.group else row.version or resource.api_version
    return Expected(api_version, row.kind, type_of(api_version, row.kind))


def read_body(expected: Expected, request: Request, draft: Draft, raw: bytes | None) -> Draft:
    """Return a body as its type holds it, without unknown fields. Raises BadRequest.

    raw: the JSON text that `draft` was parsed from, if it was, so that oddities come in the order of the text.
    """
    if expected.custom:
        _check_custom_kind(expected, request, draft)
    else:
        check_kind(expected, draft)
    if expected.type is None:
        return draft
    result = decode_object(expected.type, draft, raw)
    if result.error:
        raise Unreadable(_cannot(draft, expected), result.error)
    report_odd(expected, request, draft, result)
    return result.obj


def report_odd(expected: Expected, request: Request, draft: Mapping[str, Any], result: Decoded) -> None:
    """Do with unknown and duplicate fields what the request's fieldValidation asks for. Raises BadRequest."""
    if not request.duplicates and not result.problems and not result.unknown:
        return
    found = result.problems or [f'unknown field "{path}"' for path in result.unknown]
    problems = [*request.duplicates, *found]
    how = request.query.get("fieldValidation") or "Warn"
    if how == "Strict":
        raise Unreadable(_cannot(draft, expected), f"strict decoding error: {', '.join(problems)}")
    if how == "Warn":
        for problem in problems:
            request.warn(problem)


def check_kind(expected: Expected, draft: Mapping[str, Any]) -> None:
    """Refuse a body of another kind; a missing kind or apiVersion means the expected one. Raises BadRequest.

    A body of another registered kind is first read as what it says it is; only then is it no body of the wanted kind.
    """
    kind, api_version = draft.get("kind") or expected.kind, draft.get("apiVersion") or expected.api_version
    if kind == expected.kind and api_version == expected.api_version:
        return
    type_ = type_of(api_version, kind)
    if is_other_version(expected, api_version, kind, type_):
        text = f"does not match the expected API version ({expected.api_version})"
        raise BadRequest(f"the API version in the data ({api_version}) {text}")
    if type_ is None:
        why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'
        raise Unreadable(_cannot(draft, expected), why)
    read = decode_object(type_, {**draft})
    group = expected.api_version.rpartition("/")[0].partition(".")[0] or "core"
    version = api_version.rpartition("/")[2]
    why = read.error or f"converting ({version}.{kind}) to ({group}.{expected.kind}): unknown conversion"
    raise Unreadable(_cannot(draft, expected), why)


def _check_custom_kind(expected: Expected, request: Request, draft: Mapping[str, Any]) -> None:
    """Refuse a body that is no custom resource of the expected kind and version. Raises BadRequest, Invalid."""
    kind, api_version = draft.get("kind"), draft.get("apiVersion")
    if not kind:
        shown = orjson.dumps(draft).decode()
        raise Unreadable(_cannot(draft, expected), f"Object 'Kind' is missing in '{shown}'")
    if api_version != expected.api_version:
        if kind == expected.kind and api_version and api_version.partition("/")[0] == request.resource.group:
            _warn_of_all(request, draft, api_version.partition("/")[2])
        text = f"does not match the expected API version ({expected.api_version})"
        raise BadRequest(f"the API version in the data ({api_version or ''}) {text}")
    if kind != expected.kind:
        metadata = draft.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else ""
        cause = Cause("FieldValueInvalid", f'Invalid value: "{kind}": must be {expected.kind}', "kind")
        raise invalid(kind, request.resource.group, name or "", [cause])


def _warn_of_all(request: Request, draft: Mapping[str, Any], version: str) -> None:
    """Warn of every field: in a version that the definition does not have, none is known."""
    if version not in request.resource.rules.versions:
        for name in sorted(set(draft) - {"apiVersion", "kind", "metadata"}):
            request.warn(f'unknown field "{name}"')


def is_other_version(expected: Expected, api_version: str, kind: str, type_: Type | None) -> bool:
    """Tell whether a body is the wanted thing in a version that this endpoint does not take."""
    if api_version == expected.api_version:
        return False
    if kind != expected.kind:
        return False
    return type_ is not None or api_version in KNOWN_VERSIONS


def _cannot(draft: Mapping[str, Any], expected: Expected) -> str:
    kind, version = draft.get("kind") or expected.kind, draft.get("apiVersion") or expected.api_version
    return f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {expected.kind}'
