"""Deletion: at once, gracefully, or not before finalizers are done.

Source: apiserver/pkg/registry/generic/registry/store.go, apiserver/pkg/registry/rest/delete.go (v1.37).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from moorage.api.answers import Answer, Page
from moorage.api.list_options import check_delete_options
from moorage.api.pipeline import Kind, Tools, kind_of
from moorage.api.read import selection_of
from moorage.api.request import Draft, Request
from moorage.api.service_storage import delete_service
from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest, Conflict, NotFound, conflict, not_found
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, finalizers_of, format_time, name_of, revision_of, uid_of
from moorage.objects.object_meta import FOREGROUND, ORPHAN

#: Resources whose deletion orphans dependents when no policy is given. Source: their DefaultGarbageCollectionPolicy.
ORPHANS_BY_DEFAULT = frozenset({"replicationcontrollers", "jobs.batch"})

#: How often a deletion that carries no preconditions is tried again after somebody else wrote first.
ATTEMPTS = 5


def options_of(request: Request, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the DeleteOptions of a request: its body, or its query. Raises BadRequest, Invalid."""
    options = dict(body or {})
    kind, version = options.get("kind") or "DeleteOptions", options.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise BadRequest(
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    query = request.query
    if not body:
        if "gracePeriodSeconds" in query:
            options["gracePeriodSeconds"] = _seconds(query["gracePeriodSeconds"])
        if query.get("propagationPolicy"):
            options["propagationPolicy"] = query["propagationPolicy"]
        if "orphanDependents" in query:
            options["orphanDependents"] = query["orphanDependents"].lower() not in ("0", "false")
    if "dryRun" in query:
        options["dryRun"] = query["dryRun"].split(",")
    check_delete_options(options)
    return options


def _seconds(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


async def delete(tools: Tools, request: Request, body: Mapping[str, Any] | None, *, admitted: bool = True) -> Answer:
    """Delete one object. Raises NotFound, Conflict (preconditions), Forbidden, Invalid.

    admitted: whether admission is asked; an eviction was asked about already.
    """
    resource = request.resource
    options = options_of(request, body)
    if (
        resource.id == "jobs.batch"
        and options.get("propagationPolicy") is None
        and options.get("orphanDependents") is None
    ):
        request.warn(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
            "or set propagationPolicy=Orphan to suppress this warning"
        )
    request = _with_options(request, options)
    for attempt in range(ATTEMPTS):
        item = tools.storage.find(resource, request.namespace, request.name)
        if item is None:
            raise not_found(resource.plural, resource.group, request.name)
        if admitted:
            await tools.storage.prepare(resource, item)
            shown = tools.storage.presented(resource, item).object
            await tools.admission.mutate(dict(shown), shown, request, tools.lookup)
            await tools.admission.validate(shown, shown, request, tools.lookup)
        try:
            return await _deleted(tools, request, options, item)
        except Conflict:
            if options.get("preconditions") or attempt == ATTEMPTS - 1:
                raise
    raise not_found(resource.plural, resource.group, request.name)


def _with_options(request: Request, options: Mapping[str, Any]) -> Request:
    """Return the request as admission sees it: with its options, and a dry run whichever way it was asked for."""
    dry_run = {"dryRun": ",".join(options["dryRun"])} if options.get("dryRun") else {}
    return replace(request, options=options, query={**request.query, **dry_run})


async def delete_collection(tools: Tools, request: Request, body: Mapping[str, Any] | None) -> Page:
    """Delete every selected object; one that is gone already counts as deleted."""
    options = options_of(request, body)
    cache = tools.storage.cache_of(request.resource)
    page = Page(list(cache.items(selection_of(request))), tools.storage.caches.revision)
    for item in page.items:
        one = Request(
            request.user,
            "delete",
            request.resource,
            item.namespace,
            item.name,
            request.now,
            query=request.query,
            agent=request.agent,
            warnings=request.warnings,
        )
        try:
            await delete(tools, one, options)
        except NotFound:
            continue
    return page


async def _deleted(tools: Tools, request: Request, options: Mapping[str, Any], item: Encoded) -> Answer:
    """Do the one step of deletion that is due: wait for grace, wait for finalizers, or go."""
    kind = kind_of(request.resource)
    await tools.storage.prepare(kind.resource, item)
    check_preconditions(kind.resource, options, item.object)
    old, dry_run = tools.storage.current(kind.resource, item), bool(options.get("dryRun"))
    grace = _grace(kind, old, options)
    draft = _marked(kind, request, old, options, grace)
    metadata = draft["metadata"]
    waits = bool(metadata.get("deletionGracePeriodSeconds")) or _is_held(kind, draft)
    if waits:
        if draft == old or dry_run:
            same = tools.storage.presented(kind.resource, item)
            return Answer(200, same if draft == old else await tools.storage.shown(kind.resource, draft))
        stored = await tools.storage.update(kind.resource, draft, item)
        await tools.storage.prepare(kind.resource, stored)
        return Answer(200, tools.storage.presented(kind.resource, stored))
    if not dry_run:
        is_service = kind.resource.id == "services"
        await (delete_service(tools, kind.resource, item) if is_service else tools.storage.delete(kind.resource, item))
    returns = kind.resource.behaviour.get("deleteReturns") == "object" and kind.resource.id not in ORPHANS_BY_DEFAULT
    if returns or finalizers_of(old):
        if grace is None:
            return Answer(200, tools.storage.presented(kind.resource, item))
        metadata["resourceVersion"] = str(tools.storage.caches.revision)
        return Answer(200, await tools.storage.shown(kind.resource, draft))
    return Answer(200, _success(kind.resource, item))


def check_preconditions(resource: Resource, options: Mapping[str, Any], obj: Object) -> None:
    """Refuse to delete another object, or another state of it, than the client means. Raises Conflict."""
    wanted = options.get("preconditions") or {}
    uid, revision = wanted.get("uid"), wanted.get("resourceVersion")
    if uid and uid != uid_of(obj):
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({uid_of(obj)}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(resource.kind, resource.group, name_of(obj), why)
    if revision and revision != str(revision_of(obj)):
        why = (
            f"the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record "
            f"({revision_of(obj)}). The object might have been modified"
        )
        raise conflict(resource.kind, resource.group, name_of(obj), why)


def _grace(kind: Kind, old: Object, options: Mapping[str, Any]) -> int | None:
    """Return how long the object may take to go, None for kinds that go at once."""
    asked = options.get("gracePeriodSeconds")
    if asked is not None and asked < 0:
        asked = 1
    grace: int | None = kind.call("grace_seconds", old, asked)
    return grace


def _marked(kind: Kind, request: Request, old: Object, options: Mapping[str, Any], grace: int | None) -> Draft:
    """Return the object as it is while it waits to go: with its deletion time, its grace and the policy's finalizers."""
    metadata = dict(old["metadata"])
    finalizers = _finalizers(kind.resource, old, options)
    if finalizers != finalizers_of(old):
        if finalizers:
            metadata["finalizers"] = list(finalizers)
        else:
            metadata.pop("finalizers", None)
    before = metadata.get("deletionGracePeriodSeconds")
    first = "deletionTimestamp" not in metadata
    if first or (grace is not None and before is not None and grace < before):
        seconds = grace or 0
        metadata["deletionTimestamp"] = format_time(request.now + timedelta(seconds=seconds))
        metadata["deletionGracePeriodSeconds"] = seconds
        if first and "generation" in metadata:
            metadata["generation"] += 1
    metadata.pop("resourceVersion", None)
    draft = {**old, "metadata": metadata}
    kind.call("mark_deleted", draft, request)
    if draft["metadata"] == {k: v for k, v in old["metadata"].items() if k != "resourceVersion"} and draft.get(
        "status"
    ) == old.get("status"):
        return dict(old)
    return draft


def _finalizers(resource: Resource, old: Object, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the finalizers that the propagation policy asks for. Source: deletionFinalizersForGarbageCollection."""
    policy, orphans = options.get("propagationPolicy"), options.get("orphanDependents")
    existing = finalizers_of(old)
    orphan = foreground = False
    if orphans is not None:
        orphan = bool(orphans)
    elif policy is not None:
        orphan, foreground = policy == "Orphan", policy == "Foreground"
    elif ORPHAN in existing or FOREGROUND in existing:
        return existing
    elif resource.id in ORPHANS_BY_DEFAULT:
        orphan = True
    kept = [each for each in existing if each not in (ORPHAN, FOREGROUND)]
    return (*kept, *([ORPHAN] if orphan else []), *([FOREGROUND] if foreground else []))


def _is_held(kind: Kind, draft: Draft) -> bool:
    if finalizers_of(draft):
        return True
    return kind.resource.id == "namespaces" and bool((draft.get("spec") or {}).get("finalizers"))


def _success(resource: Resource, item: Encoded) -> dict[str, Any]:
    details = {"name": item.name, "group": resource.group, "kind": resource.plural, "uid": item.uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }
