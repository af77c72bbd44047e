"""Objects in and out of the store: keys, versions, and the translation of a store's refusals into the API's.

A resource that is served in several versions is stored in one; `presented` converts on the way out.
"""

from collections import OrderedDict
from collections.abc import Sequence

from moorage.api.conversion import converted, is_converted, stored
from moorage.api.custom_resources.converter import Converter
from moorage.api.request import Draft
from moorage.api.resources import storage_prefix
from moorage.api.watch_cache import Caches, Expected, ResourceCache
from moorage.objects.encoded import Encoded, encode
from moorage.objects.errors import PlainError, ServiceUnavailable, StatusError, already_exists, conflict
from moorage.objects.kinds import Resource
from moorage.objects.metadata import Object, is_terminating
from moorage.store.errors import KeyExists, RevisionMismatch, StoreUnavailable
from moorage.store.store import Store

#: How many objects are kept in a version that is not the stored one.
PRESENTED_MOST = 256

#: The same where a webhook had to be asked for them.
CONVERTED_MOST = 4096


class Storage:
    """Reads and writes objects of any resource, in the version that the caller speaks."""

    def __init__(self, store: Store, caches: Caches, converter: Converter) -> None:
        self._store = store
        self.converter = converter
        self.caches = caches
        self._presented: OrderedDict[tuple[int, str], tuple[Encoded, Encoded, object]] = OrderedDict()

    def cache_of(self, resource: Resource) -> ResourceCache:
        """Return the cache that holds the resource's objects."""
        return self.caches.of(storage_prefix(resource))

    def find(self, resource: Resource, namespace: str, name: str) -> Encoded | None:
        """Return the newest state of an object as stored, None if there is none."""
        return self.cache_of(resource).get(namespace, name)

    def is_presented(self, resource: Resource) -> bool:
        """Tell whether objects of this resource may be shown otherwise than they are stored."""
        return resource.custom or is_converted(resource)

    def presented(self, resource: Resource, item: Encoded) -> Encoded:
        """Return the object in the version of `resource`; a custom one as its definition has it now."""
        if resource.custom:
            if resource.rules.is_current(item.revision):
                return item
        elif not is_converted(resource):
            return item
        found = self._presented.get((id(item), resource.api_version))
        if found is not None and found[2] is resource.rules:
            return found[1]
        if not by_webhook(resource):
            return self._remember(resource, item, converted(item.object, resource))
        if resource.rules.needs_webhook(item.object):
            raise PlainError(f"{resource.id} {item.namespace}/{item.name} was read before it was converted")
        return self._remember(resource, item, resource.rules.shown(resource.rules.source(item.object)))

    async def prepare(self, resource: Resource, item: Encoded | None) -> None:
        """Have a webhook convert an object, if one must, so that `presented` can show it. Raises PlainError."""
        if item is not None and by_webhook(resource):
            await self.presented_all(resource, (item,))

    async def presented_all(self, resource: Resource, items: Sequence[Encoded]) -> list[Encoded]:
        """Return objects in the version of `resource`; what a webhook must convert is asked for at once."""
        if not by_webhook(resource):
            return [self.presented(resource, item) for item in items]
        rules, made, missing = resource.rules, dict[int, Encoded](), list[Encoded]()
        for item in items:
            found = self._presented.get((id(item), resource.api_version))
            if found is not None and found[2] is rules:
                made[id(item)] = found[1]
            elif rules.needs_webhook(item.object):
                missing.append(item)
        if missing:
            sources = [rules.source(item.object) for item in missing]
            objects = await self.converter.converted(rules.conversion, sources, resource.api_version)
            for item, obj in zip(missing, objects, strict=True):
                made[id(item)] = self._remember(resource, item, rules.shown(obj))
        return [made.get(id(item)) or self.presented(resource, item) for item in items]

    async def as_stored(self, resource: Resource, draft: Draft) -> Draft:
        """Return an object in the version of `resource` as it is stored. Raises PlainError."""
        if not is_converted(resource):
            return draft
        if not by_webhook(resource):
            return stored(draft, resource)
        target = resource.rules.stored
        (obj,) = await self.converter.converted(resource.rules.conversion, [draft], target.api_version)
        kept: Draft = target.shown(obj)
        return kept

    async def shown(self, resource: Resource, draft: Draft) -> Draft:
        """Return an object in its stored version in the version of `resource`. Raises PlainError."""
        if not is_converted(resource):
            return draft
        if not by_webhook(resource):
            return converted(draft, resource)
        rules = resource.rules
        if draft["apiVersion"] == resource.api_version:
            return draft
        (obj,) = await self.converter.converted(rules.conversion, [draft], resource.api_version)
        shown: Draft = rules.shown(obj)
        return shown

    def _remember(self, resource: Resource, item: Encoded, obj: Draft) -> Encoded:
        shown = Encoded(
            encode(obj).replace(b'"resourceVersion":""', b'"resourceVersion":"%d"' % item.revision, 1),
            item.revision,
            obj,
            item.fields,
        )
        self._presented[id(item), resource.api_version] = (item, shown, resource.rules)
        if len(self._presented) > (CONVERTED_MOST if by_webhook(resource) else PRESENTED_MOST):
            self._presented.popitem(last=False)
        return shown

    def current(self, resource: Resource, item: Encoded) -> Object:
        """Return the object in the version that is stored; a custom one as its definition has it now."""
        if not resource.custom:
            return item.object
        rules = resource.rules.stored or resource.rules
        if rules.needs_webhook(item.object):
            return item.object
        obj: Object = item.object if rules.is_current(item.revision) else rules.presented(item.object)
        return obj

    async def create(self, resource: Resource, obj: Draft) -> Encoded:
        """Write a new object. Raises AlreadyExists."""
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        value = encode(obj)
        with self.caches.expect(value, obj) as expected:
            try:
                await self._store.create(_key(resource, namespace, name), value)
            except KeyExists as error:
                raise self.exists(resource, namespace, name) from error
            except StoreUnavailable as error:
                raise unavailable(error) from error
        return _written(expected)

    async def update(self, resource: Resource, obj: Draft, old: Encoded) -> Encoded:
        """Replace the state `old`. Raises Conflict when it is not the newest any more."""
        value = encode(obj)
        with self.caches.expect(value, obj) as expected:
            try:
                await self._store.update(_key(resource, old.namespace, old.name), value, expected=old.revision)
            except RevisionMismatch as error:
                raise conflict(resource.plural, resource.group, old.name) from error
            except StoreUnavailable as error:
                raise unavailable(error) from error
        return _written(expected)

    async def delete(self, resource: Resource, old: Encoded) -> None:
        """Remove the object in state `old`. Raises Conflict when it is not the newest any more."""
        try:
            await self._store.delete(_key(resource, old.namespace, old.name), expected=old.revision)
        except RevisionMismatch as error:
            raise conflict(resource.plural, resource.group, old.name) from error
        except StoreUnavailable as error:
            raise unavailable(error) from error

    def exists(self, resource: Resource, namespace: str, name: str) -> StatusError:
        """Return the error for a name that is taken."""
        error = already_exists(resource.plural, resource.group, name)
        there = self.find(resource, namespace, name)
        if there is not None and is_terminating(there.object):
            error.message = f"object is being deleted: {error.message}"
        return error


class CacheLookup:
    """Read access of rules to other objects (moorage.api.kind_rules.Lookup), straight from the caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._known: dict[str, ResourceCache] = {}
        #: The caches by resource id: once there, they stay.
        self._found: dict[str, ResourceCache] = {}

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return one object, None if there is none."""
        item = self._cache(resource).get(namespace, name)
        return item.object if item is not None else None

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """Return all objects, or those of one namespace."""
        cache = self._cache(resource)
        return [item.object for key in cache.keys(namespace) if (item := cache.at_key(key)) is not None]

    def revision(self, resource: str) -> int:
        """Return a number that grows when any object of the resource changes."""
        return self._cache(resource).changed.count

    def _cache(self, resource: str) -> ResourceCache:
        found = self._found.get(resource)
        if found is None:
            plural, _, group = resource.partition(".")
            found = self._found[resource] = self._caches.of(f"{group or 'core'}/{plural}")
        return found


def by_webhook(resource: Resource) -> bool:
    """Tell whether a webhook converts the objects of a resource between its versions."""
    return resource.rules is not None and resource.rules.conversion is not None


def unavailable(error: StoreUnavailable) -> ServiceUnavailable:
    """Return what a client is told when the disk refuses."""
    return ServiceUnavailable(f"the write was not stored: {error}")


def _key(resource: Resource, namespace: str, name: str) -> str:
    return f"{storage_prefix(resource)}/{namespace}/{name}"


def _written(expected: Expected) -> Encoded:
    if expected.item is None:
        raise PlainError("the store acknowledged a write that it did not publish")
    return expected.item
