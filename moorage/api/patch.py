"""Patches: which kind, what they make of the current object, and server-side apply.

Source: apiserver/pkg/endpoints/handlers/patch.go (v1.37).
"""

from collections.abc import Callable
from typing import Any

import orjson

from moorage.api.answers import Answer
from moorage.api.bodies import Unreadable
from moorage.api.list_options import is_true
from moorage.api.pipeline import Kind, Tools, decoded, is_dry_run, kind_of
from moorage.api.request import Draft, Request
from moorage.api.write import Change, apply_change, create_applied, tracking_of
from moorage.objects.errors import BadRequest, Cause, Invalid, UnsupportedMediaType, invalid, not_found
from moorage.objects.go_values import go_text
from moorage.objects.json_patch import json_patch
from moorage.objects.merge_patch import merge_patch
from moorage.objects.metadata import Object
from moorage.objects.restoring import restore_fault
from moorage.objects.schema import Type
from moorage.objects.strategic_merge import strategic_merge
from moorage.objects.validation import invalid as invalid_value

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"


async def patch(tools: Tools, request: Request, body: Any, content_type: str) -> Answer:
    """Patch an object, or one of its subresources; apply creates what is missing."""
    resource, kind = request.resource, kind_of(request.resource)
    dry_run = is_dry_run(request, "PatchOptions")
    if content_type == APPLY:
        return await _applied(tools, kind, request, body, dry_run=dry_run)
    check_options(request)
    make = patched_as(None if resource.custom else kind.type, body, content_type)
    if tools.storage.find(resource, request.namespace, request.name) is None:
        raise not_found(resource.plural, resource.group, request.name)

    def patched(old: Object) -> Draft:
        try:
            return decoded(kind, request, make(old))
        except Unreadable as error:
            if content_type != STRATEGIC or kind.type is None:
                raise patch_fault(json_text(make(old)), error.why) from error
            raise patch_fault(go_text(body), restore_fault(kind.type, make(old)) or error.why) from error

    return await apply_change(tools, request, Change(patched, patched=True), dry_run=dry_run)


def patch_fault(shown: str, why: str) -> Invalid:
    """Return the error for a patch that makes of an object what is none: the fault is the patch's.

    shown: a strategic merge as Go prints it; of other patches what they make of the object, as JSON.
    """
    return invalid("", "", "", [invalid_value("patch", shown, why)])


def json_text(obj: Object) -> str:
    """Return an object as upstream's patching leaves it: the members of the whole sorted."""
    return orjson.dumps({key: obj[key] for key in sorted(obj)}).decode()


def check_options(request: Request) -> None:
    """Refuse options that no patch of this kind takes. Raises Invalid."""
    causes = []
    if "force" in request.query:
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force"))
    if causes:
        raise invalid("PatchOptions", "meta.k8s.io", "", causes)


def patched_as(type_: Type | None, body: Any, content_type: str) -> Callable[[Object], Draft]:
    """Return what turns the current object into the wanted one: a fresh one that shares nothing with it.

    type_: the type that a strategic merge follows, None for kinds that take none. Raises UnsupportedMediaType.
    """
    if content_type == JSON:
        return lambda old: _fresh(json_patch(old, body))
    if content_type == MERGE:
        return lambda old: _fresh(merge_patch(old, body))
    if content_type == STRATEGIC and type_ is not None:
        return lambda old: _fresh(strategic_merge(old, body, type_))
    accepted = ", ".join(each for each in (JSON, MERGE, STRATEGIC, APPLY) if each != STRATEGIC or type_ is not None)
    raise UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


def _fresh(obj: Any) -> Draft:
    if not isinstance(obj, dict):
        raise BadRequest("the patch does not result in an object")
    draft: Draft = orjson.loads(orjson.dumps(obj))
    return draft


async def _applied(tools: Tools, kind: Kind, request: Request, body: Any, *, dry_run: bool) -> Answer:
    """Server-side apply: merge the applied fields into the object, or create it from them."""
    from moorage.objects.server_side_apply import Applied, apply

    resource = kind.resource
    check_applied(request, body)
    tracking, force = tracking_of(kind, request), is_true(request.query.get("force"))
    if tools.storage.find(resource, request.namespace, request.name) is None:
        if request.subresource:
            raise not_found(resource.plural, resource.group, request.name)
        return await create_applied(tools, kind, request, apply(None, body, tracking, force=force), dry_run=dry_run)
    last: list[Applied] = []

    def make(old: Object) -> Draft:
        merged = apply(old, body, tracking, force=force)
        last[:] = [merged]
        return decoded(kind, request, _fresh(merged.obj))

    change = Change(make, patched=True, managed=lambda _: last[0].managed)
    return await apply_change(tools, request, change, dry_run=dry_run)


def check_applied(request: Request, body: Any) -> None:
    """Refuse an apply without a manager, or of another object. Raises Invalid, BadRequest."""
    if not request.query.get("fieldManager"):
        cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    if not isinstance(body, dict):
        raise BadRequest("error decoding YAML: the patch is no object")
