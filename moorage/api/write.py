"""Create and update: the order of a write, as readable functions. Steps are in moorage.api.pipeline.

Source: apiserver/pkg/registry/generic/registry/store.go, apiserver/pkg/registry/rest/{create,update}.go (v1.37).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from moorage.api.admission.resource_quota import GROWING
from moorage.api.answers import Answer
from moorage.api.pipeline import Kind, Tools, decoded, is_dry_run, kind_of, manager_of, refuse
from moorage.api.quota_status import tell_quotas
from moorage.api.registry_keys import uid_conflict
from moorage.api.request import Draft, Request
from moorage.api.service_storage import (
    AddressTaken,
    create_service,
    delete_service,
    release_addresses,
    take_addresses,
    update_service,
)
from moorage.objects.encoded import Encoded
from moorage.objects.errors import (
    BadRequest,
    Cause,
    Conflict,
    NotFound,
    PlainError,
    conflict,
    invalid,
    not_found,
)
from moorage.objects.kinds import Resource
from moorage.objects.managed_fields import Hidden, Tracking, hidden_for, requested_managed_fields, track_update
from moorage.objects.metadata import Object, finalizers_of, format_time, is_terminating
from moorage.objects.object_meta import validate_object_meta, validate_object_meta_update

if TYPE_CHECKING:
    from moorage.objects.server_side_apply import Applied

#: How often an update that did not insist on a revision is tried again after somebody else wrote first.
ATTEMPTS = 5

#: Subresources by which only the status changes.
STATUS_SUBRESOURCES = frozenset({"status", "approval"})

#: The longest generated name: the base is cut so that the suffix fits. Source: apiserver/pkg/storage/names.
NAME_MOST, SUFFIX = 63, 5

#: How often a generated name that is taken is drawn again.
NAME_ATTEMPTS = 8

#: Metadata that each write settles anew, whatever its endpoint may change.
_OF_THE_WRITE = frozenset({"resourceVersion", "managedFields", "generation"})

#: Metadata that only the server sets.
_SERVER_SET = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


async def create(tools: Tools, request: Request, draft: Draft) -> Answer:
    """Create an object. Raises AlreadyExists, Invalid, Forbidden, BadRequest."""
    dry_run = is_dry_run(request, "CreateOptions")
    kind = kind_of(request.resource)
    draft = decoded(kind, request, draft, request.raw)
    for attempt in range(NAME_ATTEMPTS):
        try:
            ready = await prepared(tools, kind, request, draft)
        except AddressTaken:
            if attempt == NAME_ATTEMPTS - 1:
                raise
            continue
        try:
            return Answer(201, await _stored(tools, kind, request, ready, dry_run=dry_run))
        except Conflict:
            if draft["metadata"].get("name") or attempt == NAME_ATTEMPTS - 1:
                raise
    raise PlainError("unreachable: the last attempt returns or raises")


async def create_applied(tools: Tools, kind: Kind, request: Request, applied: "Applied", *, dry_run: bool) -> Answer:
    """Create an object that was applied and is not there yet."""
    metadata = applied.obj.get("metadata") or {}
    _check_name(metadata, request)
    if uid := metadata.get("uid"):
        text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(kind.resource.plural, kind.resource.group, request.name, text)
    await _check_may_create(request)
    draft = decoded(kind, request, orjson.loads(orjson.dumps(applied.obj)))
    draft["metadata"].pop("resourceVersion", None)
    ready = await prepared(tools, kind, request, draft, managed=applied.managed)
    return Answer(201, await _stored(tools, kind, request, ready, dry_run=dry_run))


async def prepared(
    tools: Tools, kind: Kind, request: Request, draft: Draft, *, managed: list[dict[str, Any]] | None = None
) -> Draft:
    """Take a decoded draft of a new object through all rules. Raises StatusError.

    managed: the managedFields of a server-side apply, which has tracked its fields itself.
    """
    resource, metadata = kind.resource, dict(draft["metadata"])
    draft = {**draft, "metadata": metadata}
    _check_namespace(resource.namespaced, metadata, request)
    if metadata.get("resourceVersion"):
        raise PlainError("resourceVersion should not be set on objects to be created")
    for field in _SERVER_SET:
        metadata.pop(field, None)
    metadata.pop("resourceVersion", None)
    if managed is None:
        managed = track_update(None, draft, tracking_of(kind, request))
    metadata["managedFields"] = managed
    await tools.admission.mutate(draft, None, request, tools.lookup)
    metadata = draft["metadata"]
    metadata.pop("managedFields", None)
    metadata["uid"] = tools.entropy.uid()
    metadata["creationTimestamp"] = format_time(request.now)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][: NAME_MOST - SUFFIX] + tools.entropy.suffix()
    if kind.has_generation:
        metadata["generation"] = 1
    kind.call("prepare_create", draft, request, tools.lookup)
    causes = validate_object_meta(metadata, namespaced=resource.namespaced, kind=resource.kind, group=resource.group)
    causes += kind.causes("validate", draft, request)
    refuse(kind, metadata.get("name") or "", causes)
    for text in kind.call("warnings", draft, None) or ():
        request.warn(text)
    if managed:
        metadata["managedFields"] = managed
    if resource.id == "services" and "dryRun" not in request.query:
        await take_addresses(tools, draft, request.now)
        try:
            await tools.admission.validate(draft, None, request, tools.lookup)
        except BaseException:
            await release_addresses(tools, draft)
            raise
    else:
        await tools.admission.validate(draft, None, request, tools.lookup)
    kind.call("complete_create", draft)
    return draft


def _check_namespace(namespaced: bool, metadata: dict[str, Any], request: Request) -> None:  # noqa: FBT001
    given = metadata.get("namespace") or ""
    if not namespaced:
        metadata.pop("namespace", None)
        return
    if given and given != request.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = request.namespace


async def _stored(tools: Tools, kind: Kind, request: Request, draft: Draft, *, dry_run: bool) -> Encoded | Draft:
    resource, metadata = kind.resource, draft["metadata"]
    if dry_run:
        if tools.storage.find(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise tools.storage.exists(resource, metadata.get("namespace", ""), metadata["name"])
        return draft
    if resource.id == "services":
        item = await create_service(tools, resource, draft)
    else:
        item = await tools.storage.create(resource, await tools.storage.as_stored(resource, draft))
        await tools.storage.prepare(resource, item)
    await tell_quotas(tools, resource, metadata.get("namespace", ""))
    return tools.storage.presented(resource, item)


@dataclass(frozen=True, slots=True)
class Change:
    """One wish to change an object.

    make:     the wanted object, from the current one; called again after a conflict.
    revision: the revision that the client insists on, 0 for none.
    patched:  the wish is a patch: the client saw the current object, so a wrong uid is a broken rule.
    managed:  the managedFields of a server-side apply, which has tracked its fields itself.
    trusted:  the server's own wish (binding a pod): no rule is asked.
    """

    make: Callable[[Object], Draft]
    revision: int = 0
    patched: bool = False
    managed: Callable[[Object], list[dict[str, Any]]] | None = None
    trusted: bool = False


async def update(tools: Tools, request: Request, draft: Draft) -> Answer:
    """Replace an object, or one of its subresources. Raises NotFound, Conflict, Invalid, Forbidden, BadRequest."""
    resource, kind = request.resource, kind_of(request.resource)
    dry_run = is_dry_run(request, "UpdateOptions")
    draft = decoded(kind, request, draft, request.raw)
    metadata = draft["metadata"]
    _check_name(metadata, request)
    old = tools.storage.find(resource, request.namespace, request.name)
    if old is None:
        if resource.behaviour.get("createOnUpdate") and not request.subresource:
            return await _created_by_update(tools, kind, request, draft, dry_run=dry_run)
        raise not_found(resource.plural, resource.group, request.name)
    revision = _revision_of(metadata)
    if not revision and not resource.behaviour.get("unconditionalUpdate", True):
        cause = Cause(
            "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
        )
        raise invalid(resource.plural, resource.group, request.name, [cause])
    return await apply_change(tools, request, Change(lambda _: draft, revision), dry_run=dry_run)


async def _created_by_update(tools: Tools, kind: Kind, request: Request, draft: Draft, *, dry_run: bool) -> Answer:
    await _check_may_create(request)
    draft["metadata"].pop("resourceVersion", None)
    ready = await prepared(tools, kind, request, draft)
    return Answer(201, await _stored(tools, kind, request, ready, dry_run=dry_run))


async def _check_may_create(request: Request) -> None:
    """Refuse to create by an update or an apply what the caller may not create. Raises Forbidden."""
    if request.also is not None:
        await request.also("create")


def _check_name(metadata: Object, request: Request) -> None:
    name = metadata.get("name") or ""
    if not name:
        raise BadRequest(
            f"the name of the object ({request.name} based on URL) was undeterminable: name must be provided"
        )
    if name != request.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    namespace = metadata.get("namespace") or ""
    if namespace and namespace != request.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def _revision_of(metadata: Object) -> int:
    text = metadata.get("resourceVersion") or ""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise PlainError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


async def apply_change(tools: Tools, request: Request, change: Change, *, dry_run: bool) -> Answer:
    """Change an object: make, check, store; again from the start when somebody else wrote in between."""
    resource, kind = request.resource, kind_of(request.resource)
    for attempt in range(ATTEMPTS):
        item = tools.storage.find(resource, request.namespace, request.name)
        if item is None:
            raise not_found(resource.plural, resource.group, request.name)
        await tools.storage.prepare(resource, item)
        old = tools.storage.presented(resource, item)
        draft = await changed(tools, kind, request, change, old)
        if draft is None:
            return Answer(200, old)
        try:
            return Answer(200, await _replaced(tools, request, draft, item, dry_run=dry_run))
        except Conflict:
            if change.revision or attempt == ATTEMPTS - 1:
                raise
        except NotFound:
            raise
    raise PlainError("unreachable: the last attempt returns or raises")


async def changed(tools: Tools, kind: Kind, request: Request, change: Change, item: Encoded) -> Draft | None:
    """Take a wish through all rules; returns the object to store, or None if nothing would change."""
    old, resource = item.object, kind.resource
    draft = change.make(old)
    if change.trusted:
        return None if _is_same(draft, old) else draft
    if change.managed is None:
        _check_name(draft.get("metadata") or {}, request)
    _check_identity(kind, request, change, draft, item)
    requested = draft["metadata"].get("managedFields")
    metadata = draft["metadata"] = _kept_metadata(draft["metadata"], old["metadata"])
    metadata.pop("managedFields", None)
    if change.managed is not None:
        managed = change.managed(old)
    else:
        entries = requested_managed_fields(old, None if request.subresource else requested)
        live = {**old, "metadata": {**old["metadata"], "managedFields": entries}}
        managed = track_update(live, draft, tracking_of(kind, request))
    if request.subresource in STATUS_SUBRESOURCES:
        hidden = hidden_for(tracking_of(kind, request))
        _keep_hidden(metadata, old["metadata"], hidden, everything=resource.custom)
        draft = {**old, "metadata": metadata, **({"status": draft["status"]} if "status" in draft else {})}
    draft["metadata"]["managedFields"] = managed
    await tools.admission.mutate(draft, old, request, tools.lookup)
    metadata = draft["metadata"]
    metadata.pop("managedFields", None)
    _prepare(tools, kind, request, draft, old)
    causes = validate_object_meta(metadata, namespaced=resource.namespaced, kind=resource.kind, group=resource.group)
    causes += validate_object_meta_update(metadata, old["metadata"])
    causes += _rule_causes(kind, request, draft, old)
    refuse(kind, request.name, causes)
    for text in kind.call("warnings", draft, old) or ():
        request.warn(text)
    if managed:
        metadata["managedFields"] = managed
    await tools.admission.validate(draft, old, request, tools.lookup)
    return None if _is_same(draft, old) else draft


def _keep_hidden(metadata: dict[str, Any], old: Object, hidden: Hidden, *, everything: bool) -> None:
    """Take back what the status endpoint of this kind does not change of the metadata."""
    hides_all = everything or "metadata" in hidden.members
    # In the order of the objects, not of a set: equal objects are written in equal bytes, in each process.
    for name in list(dict.fromkeys((*metadata, *old))):
        if name in _OF_THE_WRITE or not (hides_all or name in hidden.metadata):
            continue
        if name in old:
            metadata[name] = old[name]
        else:
            del metadata[name]


def _check_identity(kind: Kind, request: Request, change: Change, draft: Draft, item: Encoded) -> None:
    resource, metadata = kind.resource, draft.get("metadata") or {}
    revision = change.revision
    if change.patched:
        revision = _revision_of(metadata)
    if revision and revision != item.revision:
        raise conflict(resource.plural, resource.group, request.name)
    uid = metadata.get("uid")
    if uid and uid != item.uid and not change.patched:
        raise uid_conflict(resource, item, uid)


def _kept_metadata(new: Object, old: Object) -> dict[str, Any]:
    """Return the new metadata with what the server owns filled in from the old one where the client left it out."""
    metadata = {key: value for key, value in new.items() if value not in (None, "", {}, [])}
    for field in ("name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if field not in metadata and field in old:
            metadata[field] = old[field]
    metadata["creationTimestamp"] = old["creationTimestamp"]
    if "generateName" in old and "generateName" not in metadata:
        metadata["generateName"] = old["generateName"]
    metadata.pop("resourceVersion", None)
    metadata.pop("selfLink", None)
    metadata.pop("generation", None)
    if "generation" in old:
        metadata["generation"] = old["generation"]
    return metadata


def _prepare(tools: Tools, kind: Kind, request: Request, draft: Draft, old: Object) -> None:
    """Let the kind keep what this endpoint may not change; count a new generation when the desired state changed."""
    if request.subresource in STATUS_SUBRESOURCES:
        kind.call("prepare_status", draft, old, request, tools.lookup)
        return
    if "status" in kind.resource.subresources:
        draft.pop("status", None)
        if "status" in old:
            draft["status"] = old["status"]
    kind.call("prepare_update", draft, old, request, tools.lookup)
    if kind.has_generation and any(
        draft.get(key) != old.get(key) for key in {*draft, *old} - {"metadata", "status", "apiVersion", "kind"}
    ):
        draft["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _rule_causes(kind: Kind, request: Request, draft: Draft, old: Object) -> list[Cause]:
    if request.subresource in STATUS_SUBRESOURCES:
        return kind.causes("validate_status", draft, old, request)
    whole: list[Cause] | None = kind.call("validate_whole_update", draft, old, request)
    if whole is not None:
        return whole
    return kind.causes("validate", draft, request) + kind.causes("validate_update", draft, old, request)


def _is_same(draft: Draft, old: Object) -> bool:
    """Tell whether storing the draft would change nothing but times in managedFields."""
    metadata, before = draft["metadata"], old["metadata"]
    if any(draft.get(key) != old.get(key) for key in {*draft, *old} - {"metadata"}):
        return False
    skipped = {"resourceVersion", "managedFields"}
    if any(metadata.get(key) != before.get(key) for key in {*metadata, *before} - skipped):
        return False
    return _untimed(metadata.get("managedFields")) == _untimed(before.get("managedFields"))


def _untimed(managed: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "time"} for entry in managed or ()]


async def _replaced(tools: Tools, request: Request, draft: Draft, old: Encoded, *, dry_run: bool) -> Encoded | Draft:
    resource = request.resource
    is_service = resource.id == "services"
    if dry_run:
        draft["metadata"]["resourceVersion"] = str(old.revision)
        return draft
    if is_terminating(draft) and not draft["metadata"].get("deletionGracePeriodSeconds") and _may_go(draft, resource):
        await (delete_service(tools, resource, old) if is_service else tools.storage.delete(resource, old))
        draft["metadata"]["resourceVersion"] = str(tools.storage.caches.revision)
        return draft
    if is_service:
        item = await update_service(tools, resource, draft, old, request.now)
    else:
        item = await tools.storage.update(resource, await tools.storage.as_stored(resource, draft), old)
        await tools.storage.prepare(resource, item)
    if resource.id in GROWING and request.subresource in {"", "resize"}:
        await tell_quotas(tools, resource, request.namespace)
    return tools.storage.presented(resource, item)


def _may_go(draft: Draft, resource: Resource) -> bool:
    """Tell whether nothing holds a terminating object back any more."""
    if finalizers_of(draft):
        return False
    return resource.id != "namespaces" or not (draft.get("spec") or {}).get("finalizers")


def tracking_of(kind: Kind, request: Request) -> Tracking:
    """Return who writes what, for managedFields."""
    resource = kind.resource
    return Tracking(
        type=kind.type,
        api_version=resource.api_version,
        kind=resource.kind,
        manager=manager_of(request),
        time=format_time(request.now),
        subresource=request.subresource,
        has_status="status" in resource.subresources or not resource.custom,
    )
