"""Keeps the Available condition of APIServices that other servers serve, and what is known of their resources.

Looks when an APIService, its service or its endpoints change, and every half minute; sooner after a failure.
Source: kube-aggregator/pkg/controllers/status/remote, pkg/apiserver/handler_discovery.go (v1.37).
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

from moorage.aio.backoff import Backoff
from moorage.aio.clock import Clock
from moorage.aio.signal import Signal
from moorage.api.kind_rules import Lookup
from moorage.api.watch_cache import Caches
from moorage.client.client import Client
from moorage.cluster.aggregation.fetching import Failed, fault_of, openapi_of, resources_of
from moorage.cluster.aggregation.remotes import PREFIX, Remote, Remotes
from moorage.controllers.api_service_availability import PASSED, failed_check, problem_of, with_finding
from moorage.objects.api_services import RESOURCE
from moorage.objects.endpoint_slices import SLICES, slices_of
from moorage.objects.errors import Conflict, NotFound
from moorage.objects.metadata import Object, revision_of

log = logging.getLogger(__name__)

#: How often a server is asked of which nothing changed, and how soon again after a failure.
AGAIN_SECONDS: Final = 30.0
RETRY: Final = Backoff(first=0.5, most=AGAIN_SECONDS)

#: How long changes are collected.
PAUSE_SECONDS: Final = 0.05

_WATCHED: Final = (PREFIX, "core/services", "discovery.k8s.io/endpointslices")


class Availability:
    """One loop over all remote APIs; it sleeps while there are none."""

    def __init__(self, remotes: Remotes, client: Client, lookup: Lookup, clock: Clock) -> None:
        self._remotes = remotes
        self._client = client
        self._lookup = lookup
        self._clock = clock
        self._changed = Signal()
        #: By name: what was seen at the last look, when the next one is due at the latest, how often it failed.
        self._seen: dict[str, tuple[Any, float, int]] = {}

    def follow(self, caches: Caches) -> None:
        """Look again when anything changes that counts; `Remotes` must have followed before."""
        for prefix in _WATCHED:
            caches.of(prefix).changed.subscribe(self._wake)

    def _wake(self) -> None:
        if self._remotes.all():
            self._changed.fire()

    async def run(self) -> None:
        """Look at every API that is due, then wait for the next one."""
        count = self._changed.count
        remotes = self._remotes.all()
        for gone in self._seen.keys() - {each.name for each in remotes}:
            del self._seen[gone]
        await asyncio.gather(*(self._look(each) for each in remotes))
        due = min((due for _, due, _ in self._seen.values()), default=None)
        seconds = None if due is None else max(due - self._clock.monotonic(), PAUSE_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait_beyond(count)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self, remote: Remote) -> None:
        api_service = self._lookup.get(RESOURCE, "", remote.name)
        if api_service is None:
            return
        namespace, name, _ = remote.service
        service = self._lookup.get("services", namespace, name)
        slices = slices_of(name, self._lookup.list(SLICES, namespace))
        facts = (api_service["spec"], service and revision_of(service), [revision_of(each) for each in slices])
        before, due, failures = self._seen.get(remote.name, (None, 0.0, 0))
        if facts == before and self._clock.monotonic() < due:
            return
        problem = problem_of(api_service, service, slices)
        why = "" if problem is not None else await fault_of(remote)
        finding = problem or (failed_check(why) if why else PASSED)
        failures = failures + 1 if why else 0
        await self._learn(remote, is_there=finding is PASSED)
        again = RETRY.delay(failures) if failures else AGAIN_SECONDS
        self._seen[remote.name] = (facts, self._clock.monotonic() + again, failures)
        changed = with_finding(api_service, finding, self._clock.now())
        if changed is not None:
            await self._write(changed)

    async def _learn(self, remote: Remote, *, is_there: bool) -> None:
        if not is_there:
            self._remotes.learn(remote, None)
            return
        try:
            resources = await resources_of(remote)
        except (Failed, LookupError, AttributeError, TypeError) as error:
            log.warning("api_not_described name=%s error=%s", remote.name, error)
            self._remotes.learn(remote, None)
            return
        self._remotes.learn(remote, resources, await openapi_of(remote))

    async def _write(self, api_service: Object) -> None:
        """Write the status. Who changed the object meanwhile has woken us."""
        try:
            await self._client.update(RESOURCE, api_service, subresource="status")
        except (Conflict, NotFound):
            self._seen.pop(api_service["metadata"]["name"], None)
