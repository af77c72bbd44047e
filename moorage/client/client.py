"""The Client Protocol: the nine verbs that controllers, scheduler, node, dashboard and tests speak.

moorage.cluster.local.LocalClient speaks it in process, moorage.client.http.HttpClient over the wire; both pass
tests/contracts/client.py. Resources are named by id (`pods`, `statefulsets.apps`). All verbs raise
moorage.objects.errors.StatusError; a broken connection raises ConnectionError, after which the outcome is unknown.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

from moorage.objects.encoded import Encoded
from moorage.objects.metadata import Object


class Change(NamedTuple):
    """A watch notification. kind: ADDED, MODIFIED, DELETED or BOOKMARK (then `item` is None)."""

    kind: str
    item: Encoded | None
    revision: int


class Listing(NamedTuple):
    """What a list answered: items by namespace and name, true at `revision`."""

    items: Sequence[Encoded]
    revision: int


class Selection(NamedTuple):
    """Which objects: a namespace ("" for all) and selectors in their text form."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""


class Target(NamedTuple):
    """One object, or its subresource."""

    resource: str
    namespace: str
    name: str
    subresource: str = ""


class Client(Protocol):
    """Nine verbs against a Kubernetes API."""

    async def get(self, target: Target) -> Object:
        """Return the object. Raises NotFound."""

    async def list(self, resource: str, selection: Selection = Selection()) -> Listing:
        """Return all objects of the selection, from a revision not older than any acknowledged write."""

    def watch(self, resource: str, after: int, selection: Selection = Selection()) -> AsyncIterator[Sequence[Change]]:
        """Yield changes after `after` in order, in batches. Raises Expired when they were forgotten."""

    async def create(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Create; for a subresource (binding, eviction, token) the object of `obj`'s name gets it. Returns the answer."""

    async def update(self, resource: str, obj: Object, *, subresource: str = "") -> Object:
        """Replace the object, or its status. Raises Conflict when obj's resourceVersion is outdated."""

    async def patch(
        self,
        target: Target,
        patch: Any,
        *,
        content_type: str = "application/merge-patch+json",
        manager: str = "",
    ) -> Object:
        """Patch the object; content_type says which kind of patch."""

    async def delete(self, target: Target, options: Object | None = None) -> Object:
        """Delete; `options` is a DeleteOptions (preconditions, gracePeriodSeconds, propagationPolicy)."""

    async def delete_collection(self, resource: str, selection: Selection) -> None:
        """Delete every object of the selection."""

    async def revision(self) -> int:
        """Return a revision not older than any write that this client may have caused: ask after an ambiguous failure."""
