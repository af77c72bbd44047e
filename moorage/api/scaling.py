"""The scale subresource: reading and writing the number of pods of a workload without knowing its kind.

Source: kubernetes/pkg/registry/apps/*/storage ScaleREST, apimachinery/pkg/util/managedfields/scalehandler.go (v1.37).
"""

from collections.abc import Callable, Mapping
from typing import Any

from moorage.api.answers import Answer
from moorage.api.bodies import Unreadable, expected_of, read_body
from moorage.api.list_options import is_true
from moorage.api.patch import APPLY, STRATEGIC, check_applied, check_options, json_text, patch_fault, patched_as
from moorage.api.pipeline import Tools, found, is_dry_run, kind_of
from moorage.api.request import Draft, Request
from moorage.api.scale import scale_of, with_scale
from moorage.api.write import Change, apply_change, tracking_of
from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest, Cause, invalid
from moorage.objects.go_values import go_text
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, metadata_of
from moorage.objects.scale_fields import REPLICAS, scale_conflict, track_scale


def read_scale(tools: Tools, request: Request) -> Answer:
    """Return the Scale of an object. Raises NotFound."""
    return Answer(200, scale_of(found(tools, request).object, paths_of(request.resource)))


async def put_scale(tools: Tools, request: Request, body: Draft) -> Answer:
    """Replace the Scale of an object. Raises BadRequest, NotFound, Conflict, Invalid."""
    dry_run = is_dry_run(request, "UpdateOptions")
    if request.resource.custom and (body.get("apiVersion"), body.get("kind")) != ("autoscaling/v1", "Scale"):
        raise BadRequest('no kind is registered for the type v1.Scale in scheme "pkg/runtime/scheme.go:111"')
    wanted = read_body(expected_of(request.resource, "scale"), request, body, request.raw)
    return await _write(tools, request, lambda _: wanted, dry_run=dry_run)


async def patch_scale(tools: Tools, request: Request, body: Any, content_type: str) -> Answer:
    """Patch the Scale of an object, or apply one. Raises BadRequest, NotFound, Conflict, Invalid."""
    dry_run = is_dry_run(request, "PatchOptions")
    if content_type == APPLY:
        return await _apply(tools, request, body, dry_run=dry_run)
    check_options(request)
    expected = expected_of(request.resource, "scale")
    make = patched_as(expected.type, body, content_type)

    def patched(scale: Object) -> Draft:
        try:
            return read_body(expected, request, make(scale), None)
        except Unreadable as error:
            shown = go_text(body) if content_type == STRATEGIC else json_text(make(scale))
            raise patch_fault(shown, error.why) from error

    return await _write(tools, request, patched, dry_run=dry_run)


async def _apply(tools: Tools, request: Request, body: Any, *, dry_run: bool) -> Answer:
    """Take over `replicas`, if nobody else owns it or the request insists."""
    check_applied(request, body)
    wanted = read_body(expected_of(request.resource, "scale"), request, dict(body), None)
    force = is_true(request.query.get("force"))
    tracking, steps = tracking_of(kind_of(request.resource), request), _steps_of(paths_of(request.resource))

    def make(scale: Object) -> Draft:
        entries = metadata_of(found(tools, request).object).get("managedFields") or []
        clash = None if force else scale_conflict(entries, tracking, path=steps)
        if clash is not None:
            raise clash
        given = wanted.get("spec") or {}
        return {**wanted, "spec": given if "replicas" in given else scale["spec"]}

    return await _write(tools, request, make, operation="Apply", dry_run=dry_run)


async def _write(
    tools: Tools, request: Request, make: Callable[[Object], Draft], *, dry_run: bool, operation: str = "Update"
) -> Answer:
    """Change an object through its Scale; `make` gives the wanted Scale from the current one."""
    tracking = tracking_of(kind_of(request.resource), request)
    paths = paths_of(request.resource)
    steps = _steps_of(paths)
    scale = make(scale_of(found(tools, request).object, paths, may_lack=True))
    check_scale(scale, request)
    revision = str(metadata_of(scale).get("resourceVersion") or "")

    def managed(old: Object) -> list[dict[str, Any]]:
        entries = metadata_of(old).get("managedFields") or []
        before = scale_of(old, paths, may_lack=True)
        wanted = (make(before).get("spec") or {}).get("replicas", 0)
        if operation == "Update" and wanted == before["spec"].get("replicas", 0):
            return entries
        return track_scale(entries, tracking, operation=operation, path=steps)

    change = Change(
        lambda old: with_scale(old, make(scale_of(old, paths, may_lack=True)), paths),
        int(revision) if revision.isdigit() else 0,
        managed=managed,
    )
    answer = await apply_change(tools, request, change, dry_run=dry_run)
    return Answer(200, scale_of(answer.body.object if isinstance(answer.body, Encoded) else answer.body, paths))


def paths_of(resource: Resource) -> Mapping[str, str] | None:
    """Return where a custom resource keeps what a Scale tells, None for built-in ones."""
    paths: Mapping[str, str] | None = None if resource.rules is None else resource.rules.scale
    return paths


def check_scale(scale: Object, request: Request) -> None:
    """Refuse a Scale of another object or with a negative size. Raises BadRequest, Invalid."""
    name = metadata_of(scale).get("name") or ""
    if name and name != request.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", request.name, [Cause("FieldValueInvalid", text, "spec.replicas")])


def _steps_of(paths: Mapping[str, str] | None) -> tuple[str, ...]:
    return REPLICAS if paths is None else tuple(paths["specReplicasPath"].strip(".").split("."))
