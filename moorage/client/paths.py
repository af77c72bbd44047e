"""Where resources are found over HTTP: built-in ones from the table of kinds, others as discovery tells."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from moorage.objects.errors import NotFound, StatusError, not_found
from moorage.objects.kinds import builtin

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]


class Place(NamedTuple):
    """Where a resource is: the path of its group version, its plural, and what its objects are."""

    base: str
    plural: str
    namespaced: bool
    kind: str
    api_version: str

    def collection(self, namespace: str) -> str:
        """Return the path of a collection; without a namespace that of all namespaces."""
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        return f"{self.base}{inside}/{self.plural}"

    def item(self, namespace: str, name: str, subresource: str = "") -> str:
        """Return the path of an object or of its subresource."""
        path = f"{self.collection(namespace)}/{quote(name, safe='')}"
        return f"{path}/{subresource}" if subresource else path


class Places:
    """Finds resources by id; what discovery told is remembered."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[str, Place] = {}

    async def find(self, resource: str) -> Place:
        """Return where a resource is. Raises NotFound when the server does not have it."""
        known = self._known.get(resource)
        if known is None:
            known = self._known[resource] = await self._found(resource)
        return known

    async def _found(self, resource: str) -> Place:
        try:
            row = builtin(resource)
        except KeyError:
            return await self._discovered(resource)
        base = f"/apis/{row.api_version}" if row.group else f"/api/{row.version}"
        return Place(base, row.plural, row.namespaced, row.kind, row.api_version)

    async def _discovered(self, resource: str) -> Place:
        """Ask for the group's preferred version, then for its resources."""
        plural, _, group = resource.partition(".")
        try:
            described = await self._fetch(f"/apis/{quote(group, safe='')}")
            api_version = str(described["preferredVersion"]["groupVersion"])
            listed = await self._fetch(f"/apis/{api_version}")
        except (NotFound, KeyError, TypeError):
            raise not_found(plural, group, "") from None
        for row in listed.get("resources") or ():
            if row.get("name") == plural:
                return Place(f"/apis/{api_version}", plural, bool(row.get("namespaced")), str(row["kind"]), api_version)
        error: StatusError = not_found(plural, group, "")
        raise error
