"""Names and service addresses on the nodes of this process, kept as the API's services and slices say.

Both caches tell of changes; changes that come together are taken together. Nothing here runs while nothing changes.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.aio.clock import Clock
from moorage.aio.signal import Signal
from moorage.aio.tasks import Tasks
from moorage.node.network.dns import DnsServer, read_resolvers
from moorage.node.network.endpoints import fronts_for
from moorage.node.network.names import Zone
from moorage.node.network.services import NodeSockets, ServiceProxy
from moorage.node.runtimes.runtime import RuntimeFailure
from moorage.objects.encoded import Encoded
from moorage.objects.metadata import Object
from moorage.reconciler.informer import Informers

log = logging.getLogger(__name__)

SERVICES, SLICES = "services", "endpointslices.discovery.k8s.io"

#: After an update that took t seconds the next one waits this many times t: a storm of changes takes a part of a core.
REST = 4.0
#: How long to wait before a node that could not be served is tried again, in seconds.
RETRY_SECONDS = 2.0


class NodeNetwork(NodeSockets, Protocol):
    """A node's network, which may be made anew when the process that kept it was killed."""

    #: Fired when it was.
    renewed: Signal


@dataclass(frozen=True, slots=True)
class ApiDoor:
    """Where pods find the API and where it really is: (address, port) each. node: the only one that has it, "" for all.

    An address that a node has must not be another node's.
    """

    service: tuple[str, int]
    real: tuple[str, int]
    node: str = ""


class NodeServices:
    """DNS and service proxies of the nodes of one process."""

    def __init__(self, informers: Informers, clock: Clock, tasks: Tasks, domain: str) -> None:
        self._informers = informers
        self._clock = clock
        self._tasks = tasks
        self._domain = domain
        self._changed = asyncio.Event()
        self._nodes: list[_Node] = []

    def start(self, networks: Mapping[str, NodeNetwork], doors: Sequence[ApiDoor]) -> None:
        """Serve these nodes, by name, from now on."""
        for name, network in networks.items():
            overrides = {door.service: door.real for door in doors if door.node in ("", name)}
            self._nodes.append(_Node(name, network, overrides))
        for resource in (SERVICES, SLICES):
            self._informers.cache(resource).subscribe(self._note)
        for node in self._nodes:
            node.network.renewed.subscribe(node.renew)
            node.network.renewed.subscribe(self._changed.set)
        self._changed.set()
        self._tasks.keep("services", self._follow)

    async def close(self) -> None:
        """End all connections."""
        for node in self._nodes:
            await node.close()

    def _note(self, _: Encoded | None, __: Encoded | None) -> None:
        self._changed.set()

    async def _follow(self) -> None:
        await self._informers.synced((SERVICES, SLICES))
        while True:
            await self._changed.wait()
            self._changed.clear()
            began = self._clock.monotonic()
            services, slices = self._informers.list(SERVICES), self._informers.list(SLICES)
            zone = Zone(services, slices, self._domain)
            for node in self._nodes:
                try:
                    await node.update(zone, services, slices)
                except RuntimeFailure as failure:
                    log.warning("services_not_served node=%s reason=%s", node.name, failure)
                    self._tasks.start(f"services/{node.name}/retry", self._later())
            await asyncio.sleep((self._clock.monotonic() - began) * REST)

    async def _later(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._changed.set()


class _Node:
    """One node's servers; their tasks end together."""

    def __init__(self, name: str, network: NodeNetwork, overrides: Mapping[tuple[str, int], tuple[str, int]]) -> None:
        self.name = name
        self.network = network
        self._overrides = overrides
        self._tasks = Tasks(f"services/{name}")
        self._dns: DnsServer | None = None
        self._proxy = ServiceProxy(network, self._tasks, overrides)
        self._is_old = False

    def renew(self) -> None:
        """Open all sockets anew at the next update."""
        self._is_old = True

    async def close(self) -> None:
        await self._tasks.close()

    async def update(self, zone: Zone, services: Sequence[Object], slices: Sequence[Object]) -> None:
        """Answer and connect as these say. Raises RuntimeFailure."""
        if self._is_old:
            await self._tasks.close()
            self._dns, self._proxy = None, ServiceProxy(self.network, self._tasks, self._overrides)
            self._is_old = False
        if self._dns is None:
            dns = DnsServer(self.network, self._tasks, zone, read_resolvers())
            await dns.start()
            self._dns = dns
        self._dns.zone = zone
        await self._proxy.update(fronts_for(services, slices, self.name))
