"""Who leads: of several processes that could run the controllers, the one that holds a Lease.

The holder renews; the others take over when the lease has not changed for its duration, by their own clock, so that
clocks need not agree. Source: client-go tools/leaderelection (v1.37).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from moorage.aio.clock import Clock
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Target
from moorage.objects.errors import AlreadyExists, Conflict, NotFound, StatusError
from moorage.objects.metadata import Object, format_micro_time, revision_of

log = logging.getLogger(__name__)

#: Seconds. Source: the defaults of kube-controller-manager.
LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 10
RETRY_SECONDS: Final = 2

RESOURCE: Final = "leases.coordination.k8s.io"


class Elector:
    """A candidate of one name (`identity`) for the lease `namespace/name`."""

    def __init__(self, client: Client, clock: Clock, identity: str, lease: tuple[str, str]) -> None:
        self.identity = identity
        self._client = client
        self._clock = clock
        self._namespace, self._name = lease
        self._seen_revision = 0
        self._seen_at = 0.0

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait until elected, run `work`, and end it when the lease is lost; then return."""
        while not await self._try():  # noqa: ASYNC110 the lease can only be asked for
            await asyncio.sleep(RETRY_SECONDS)
        log.info("elected identity=%s lease=%s/%s", self.identity, self._namespace, self._name)
        async with Tasks("leader") as tasks:
            await self._hold(tasks.start("work", _as_coroutine(work)))
        log.warning("leadership_lost identity=%s", self.identity)

    async def _hold(self, task: "asyncio.Task[None]") -> None:
        """Renew until that has failed for too long, or the work has ended."""
        renewed = self._clock.monotonic()
        while not task.done() and self._clock.monotonic() - renewed < RENEW_SECONDS:
            await asyncio.wait([task], timeout=RETRY_SECONDS)
            if not task.done() and await self._try():
                renewed = self._clock.monotonic()

    async def _try(self) -> bool:
        """Take or renew the lease; False if somebody else holds it or the API cannot be reached."""
        try:
            try:
                lease = await self._client.get(Target(RESOURCE, self._namespace, self._name))
            except NotFound:
                await self._client.create(RESOURCE, self._lease_for(None))
                return True
            if not self._may_take(lease):
                return False
            await self._client.update(RESOURCE, self._lease_for(lease))
        except (AlreadyExists, Conflict):
            return False
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("lease_unreachable lease=%s/%s error=%s", self._namespace, self._name, error)
            return False
        return True

    def _may_take(self, lease: Object) -> bool:
        """Tell whether the lease is ours, free, or has stood still for its duration."""
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if revision_of(lease) != self._seen_revision:
            self._seen_revision, self._seen_at = revision_of(lease), self._clock.monotonic()
        if holder in ("", self.identity):
            return True
        return self._clock.monotonic() - self._seen_at > (spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def _lease_for(self, lease: Object | None) -> dict[str, Any]:
        return lease_for(lease, self.identity, self._clock.now(), (self._namespace, self._name))


def lease_for(lease: Object | None, identity: str, now: datetime, name: tuple[str, str]) -> dict[str, Any]:
    """Return the lease as its holder writes it: renewed, or taken over with one more transition."""
    spec = dict((lease or {}).get("spec") or {})
    moment = format_micro_time(now)
    if spec.get("holderIdentity") != identity:
        spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if lease else 0)
        spec["acquireTime"] = moment
    spec.update(holderIdentity=identity, leaseDurationSeconds=LEASE_SECONDS, renewTime=moment)
    if lease is not None:
        return {**lease, "spec": spec}
    metadata = {"namespace": name[0], "name": name[1]}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()
