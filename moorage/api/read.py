"""Get, list and watch: what a reader is told, and of which moment. Reads never wait for the disk.

Source of the resourceVersion rules: the API concepts page and apiserver/pkg/storage/cacher (v1.37).
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice

from moorage.aio.pace import Pace
from moorage.api.answers import Page, WatchChange
from moorage.api.list_options import (
    Continue,
    check_list_options,
    encode_continue,
    is_true,
    parse_continue,
    parse_integer,
    parse_revision,
)
from moorage.api.request import Request
from moorage.api.selection import Selection, seen_by
from moorage.api.watch_cache import Caches, ResourceCache
from moorage.objects.encoded import Encoded
from moorage.objects.errors import BadRequest, Expired, Timeout
from moorage.objects.field_selectors import parse_field_selector
from moorage.objects.kinds import Resource
from moorage.objects.selectors import parse_label_selector


def selection_of(request: Request) -> Selection:
    """Return what the request selects. Raises BadRequest for selectors that cannot be read or are not known."""
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    if not labels and not fields:
        return Selection(request.namespace, request.name)
    by_labels = parse_label_selector(labels) if labels else None
    by_fields = parse_field_selector(fields, request.resource.id, selectable_of(request.resource)) if fields else None
    name = request.name
    if by_fields is not None and not name:
        name = by_fields.exact.get("metadata.name", "")
        if name and len(by_fields.terms) == 1:
            by_fields = None
    return Selection(request.namespace, name, _test(by_labels, by_fields))


def selectable_of(resource: Resource) -> tuple[str, ...]:
    """Return the selectable fields that a custom resource defines for itself."""
    extra: tuple[str, ...] = () if resource.rules is None else resource.rules.selectable
    return extra


def _test(
    by_labels: Callable[..., bool] | None, by_fields: Callable[..., bool] | None
) -> Callable[[Encoded], bool] | None:
    if by_labels is None and by_fields is None:
        return None
    if by_fields is None:
        return lambda item: by_labels(item.labels)  # type: ignore[misc]
    if by_labels is None:
        return lambda item: by_fields(item.fields)
    return lambda item: by_labels(item.labels) and by_fields(item.fields)


def read_list(caches: Caches, cache: ResourceCache, request: Request) -> Page:
    """Return one page of a list."""
    query = request.query
    check_list_options(query, watch=False)
    limit = parse_integer(query.get("limit") or "0")
    selection = selection_of(request)
    items, revision = _items(caches, cache, query, selection)
    if limit <= 0:
        return Page(list(items), revision)
    page = list(islice(items, limit + 1))
    if len(page) <= limit:
        return Page(page, revision)
    following = page.pop()
    token = encode_continue(Continue(revision, f"{following.namespace}/{following.name}"))
    remaining = None
    if selection.test is None:
        remaining = 1 + sum(1 for _ in items)
    return Page(page, revision, token, remaining)


def _items(
    caches: Caches, cache: ResourceCache, query: Mapping[str, str], selection: Selection
) -> tuple[Iterator[Encoded], int]:
    """Return the selected objects from where the list goes on, and the revision they are true at."""
    text = query.get("continue", "")
    revision_text = query.get("resourceVersion", "")
    if text:
        if revision_text not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        token = parse_continue(text)
        if token.revision < cache.floor:
            raise Expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list "
                "without the continue parameter."
            )
        return cache.items_at(token.revision, selection, token.start), token.revision
    asked = parse_revision(revision_text, where="list")
    if asked > caches.revision:
        raise too_large(asked, caches.revision)
    # A limit without a match has meant "exactly then" since before there was a match.
    exact = query.get("resourceVersionMatch") or ("Exact" if _has_limit(query) else "")
    if asked and exact == "Exact":
        if asked < cache.floor:
            raise Expired("The resourceVersion for the provided list is too old.")
        return cache.items_at(asked, selection), asked
    return cache.items(selection), caches.revision


def _has_limit(query: Mapping[str, str]) -> bool:
    return query.get("limit", "0") not in ("", "0")


def too_large(asked: int, newest: int) -> Timeout:
    """Return the error for a revision that has not been written yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Timeout(
        f"Timeout: Too large resource version: {asked}, current: {newest}",
        details={"causes": [cause], "retryAfterSeconds": 1},
    )


def read_watch(
    caches: Caches, cache: ResourceCache, request: Request, pace: Pace, *, outlives: bool = False
) -> AsyncIterator[Sequence[WatchChange]]:
    """Return the stream of a watch. Errors in the request are raised here, before the stream begins.

    outlives: the stream goes on when a custom resource is not served any more; otherwise it ends then. Such streams of
    our own parts are told everything at once, those of clients keep to the pace.
    """
    query = request.query
    check_list_options(query, watch=True)
    after = parse_revision(query.get("resourceVersion", ""), where="watch")
    selection = selection_of(request)
    sends = is_true(query.get("sendInitialEvents"))
    first: list[WatchChange] = []
    if sends and after > caches.revision:
        raise too_large(after, caches.revision)
    if after == 0 or sends:
        first = [WatchChange("ADDED", item, item.revision) for item in cache.items(selection)]
        position = cache.first + len(cache.steps)
        if sends and is_true(query.get("allowWatchBookmarks")):
            first.append(WatchChange("BOOKMARK", None, caches.revision, initial_end=True))
    else:
        position = cache.position_after(after)
    if "sendInitialEvents" in query and not sends:
        first = []
    return _stream(cache, selection, first, position, None if outlives else pace)


async def _stream(
    cache: ResourceCache, selection: Selection, first: list[WatchChange], position: int, pace: Pace | None
) -> AsyncIterator[Sequence[WatchChange]]:
    """Yield what the selection sees, from a position on; without a pace at once, and for good."""
    times_withdrawn = cache.times_withdrawn
    if first:
        yield first
    while pace is None or cache.times_withdrawn == times_withdrawn:
        count = cache.changed.count
        steps = cache.steps_from(position)
        position += len(steps)
        batch = [change for step in steps if (change := seen_by(selection, step)) is not None]
        if batch and pace is not None:
            began = pace.now()
            yield batch
            pace.took(pace.now() - began)
        elif batch:
            yield batch
        elif not steps:
            await cache.changed.wait_beyond(count)
            if pace is not None:
                await pace.turn()
