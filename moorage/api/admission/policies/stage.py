"""Admission policies as a stage of every write, composed with webhooks in moorage.api.admission.dynamic.

A write to a resource that no policy is about costs two comparisons of numbers for each sort of policies. What compiles
and evaluates is imported with the first policy.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from moorage.api.admission.policies.calls import Call, call_of
from moorage.api.admission.policies.index import policy_index
from moorage.api.admission.policies.selection import EXEMPT
from moorage.api.admission.reinvocation import Reinvocation
from moorage.api.authorization import Revisions
from moorage.api.kind_rules import Lookup
from moorage.api.pipeline import decoded, kind_of
from moorage.api.request import Draft, Request
from moorage.api.scale import with_scale
from moorage.objects.errors import InternalError, StatusError
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object
from moorage.objects.schema import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = frozenset({"status", "approval"})

#: Verbs that have no object which policies could change.
_UNCHANGED = frozenset({"delete", "deletecollection"})


class Policies:
    """All admission policies of a cluster."""

    def __init__(self) -> None:
        self._mutating = policy_index("mutating")
        self._validating = policy_index("validating")

    def may_change(self, resource: Resource, lookup: Lookup) -> bool:
        """Tell whether any policy may change a resource; cheap where there is none."""
        return bool(self._mutating.hooks_for(resource, cast("Revisions", lookup)))

    def change(self, draft: Draft, old: Object | None, request: Request, lookup: Lookup, rounds: Reinvocation) -> bool:
        """Let policies change the draft in place; tell whether one did. Raises Denied.

        rounds: what is remembered between two rounds of the same write.
        """
        revisions = cast("Revisions", lookup)
        hooks = self._mutating.hooks_for(request.resource, revisions)
        if not hooks or request.verb in _UNCHANGED:
            return False
        from moorage.api.admission.policies.mutating import Tools, mutated

        call = call_of(request, draft, old)
        type_ = type_of(*call.kind) if _is_foreign(call) else kind_of(request.resource).type
        read = read_by(request, call, "Strict")
        result = mutated(hooks, call, Tools(revisions, type_, read), rounds)
        if result is None or result == call.obj:
            return False
        take(draft, result, request, call)
        return True

    async def validate(self, obj: Object, old: Object | None, request: Request, lookup: Lookup) -> None:
        """Ask policies about a write; they may warn. Raises Denied."""
        revisions = cast("Revisions", lookup)
        if request.resource.id in EXEMPT:
            self._check_access(obj, old, request, revisions)
            return
        hooks = self._validating.hooks_for(request.resource, revisions)
        if hooks:
            from moorage.api.admission.policies.validating import validate

            validate(hooks, call_of(request, obj, old), revisions, request.warn)

    def _check_access(self, obj: Object, old: Object | None, request: Request, lookup: Revisions) -> None:
        """Refuse policies and bindings whose author may not read their parameters. Raises Invalid."""
        from moorage.api.admission.policies.param_access import BINDINGS, POLICIES, check_param_access

        if request.resource.id in POLICIES or request.resource.id in BINDINGS:
            check_param_access(obj, old, request, lookup)


def _as_it_is(obj: Object) -> Object:
    return obj


def _is_foreign(call: Call) -> bool:
    """Tell whether the endpoint takes another kind than its resource has: a Scale, an Eviction, options of exec."""
    return call.kind != (call.resource.api_version, call.resource.kind)


def read_by(request: Request, call: Call, validation: str) -> "Callable[[Object], Object]":
    """Return what reads a mutated object; validation: how strictly. It raises InternalError."""
    if _is_foreign(call):
        return _as_it_is
    strict = replace(request, query={**request.query, "fieldValidation": validation}, warnings=[], duplicates=())
    kind = kind_of(request.resource)

    def read(obj: Object) -> Object:
        try:
            return decoded(kind, strict, {**obj, "metadata": dict(obj.get("metadata") or {})})
        except StatusError as error:
            text = f"Internal error occurred: {error.message}"
            raise InternalError(text, details={"causes": [{"message": error.message}]}) from None

    return read


def take(draft: Draft, result: Object, request: Request, call: Call) -> None:
    """Put what policies or webhooks made of an object into the draft: as much of it as the endpoint may change."""
    if call.kind[1] == "Scale":
        paths = request.resource.rules.scale if request.resource.rules is not None else None
        result = with_scale(draft, result, paths)
    elif request.subresource in _STATUS:
        kept = {key: value for key, value in draft.items() if key not in ("metadata", "status")}
        result = {**kept, **{key: result[key] for key in ("metadata", "status") if key in result}}
    draft.clear()
    draft.update(result)
