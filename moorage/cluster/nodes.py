"""The nodes of a cluster: real ones over the native runtime, simulated ones, and the volumes that they serve."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from moorage.cluster.config import (
    API_NODE_ADDRESS,
    API_SERVICE_ADDRESS,
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    ClusterConfig,
    registries_path,
)
from moorage.cluster.control_plane import ControlPlane
from moorage.cluster.machine import machine_for, simulated_machine
from moorage.cluster.posted_nodes import PostedNodes
from moorage.cluster.process import StartFailed
from moorage.node.agent import Agent, Dispatcher, NodeSettings, Surroundings
from moorage.node.gateway import LocalGateway
from moorage.node.images.registry import Registries, read_registries
from moorage.node.images.store import ImageStore
from moorage.node.network.node_services import ApiDoor, NodeServices
from moorage.node.node_status import LEASE_SECONDS
from moorage.node.references import References
from moorage.node.runtimes.native.host import NativeHost
from moorage.node.runtimes.native.native import NativeRuntime
from moorage.node.runtimes.runtime import RuntimeFailure
from moorage.volumes.local import LocalDriver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.volumes.driver import Driver

log = logging.getLogger(__name__)

#: How long containers may take to end when the cluster goes down, in seconds. Databases flush within this.
SHUTDOWN_GRACE_SECONDS = 10.0

#: Simulated nodes say that they live as seldom as is believed.
SIMULATED_RENEW_SECONDS = LEASE_SECONDS * 0.6


#: Addresses to listen on that pods cannot connect to.
_UNREACHABLE = ("0.0.0.0", "127.0.0.1", "localhost", "::1")  # noqa: S104


def api_doors(config: ClusterConfig, port: int) -> list[ApiDoor]:
    """Return where pods find the API: its service's address, and the endpoint behind that."""
    host = config.host if config.host != "0.0.0.0" else "127.0.0.1"  # noqa: S104 - it is where all addresses end
    doors = [ApiDoor((API_SERVICE_ADDRESS, 443), (host, port))]
    if endpoint_address(config) == API_NODE_ADDRESS:
        doors.append(ApiDoor((API_NODE_ADDRESS, port), (host, port), config.node_names[0]))
    return doors


def endpoint_address(config: ClusterConfig) -> str:
    """Return the address that the API's Endpoints name; loopback ones cannot stand there."""
    return API_NODE_ADDRESS if config.host in _UNREACHABLE else config.host


class Nodes:
    """Starts and stops the nodes of one cluster."""

    def __init__(self, config: ClusterConfig, control: ControlPlane) -> None:
        self._config = config
        self._control = control
        self._directory = config.directory / "nodes"
        self._host = NativeHost(self._directory) if config.nodes else None
        self._images: ImageStore | None = None
        self._agents: dict[str, Agent] = {}
        self._networks: dict[str, NativeRuntime] = {}
        self._references = References(control.informers)
        self._dispatcher = Dispatcher(control.informers)
        self._indexes = itertools.count(1)
        self._services = NodeServices(control.informers, control.clock, control.tasks, CLUSTER_DOMAIN)
        self.gateway = LocalGateway(self._agents, control.clock)
        volumes = LocalDriver(config.directory / "volumes")
        volumes.start()
        self.drivers: Mapping[str, Driver] = {volumes.name: volumes}

    @property
    def images(self) -> ImageStore | None:
        """The images of the cluster's real nodes, None before `prepare` or without real nodes."""
        return self._images

    async def prepare(self) -> None:
        """Start what takes long and needs no API. Raises StartFailed."""
        if self._host is None:
            return
        try:
            await self._host.start()
        except RuntimeFailure as error:
            hint = "Nodes that only pretend need none of this: moorage up --nodes 0 --simulated-nodes 3"
            raise StartFailed(str(error), hint=hint) from error
        self._images = ImageStore(
            self._config.directory / "images", registries=_registries(), rootless=self._host.mode != "root"
        )
        self._images.follow(self._images_arrived)

    def _images_arrived(self, is_same: Callable[[str], bool]) -> None:
        for agent in self._agents.values():
            agent.images_arrived(is_same)

    async def start(self, api_port: int) -> None:
        """Register all nodes and hand them their pods. Raises StartFailed."""
        control = self._control
        try:
            for name in self._config.node_names:
                await self._start_real(name, next(self._indexes))
            for name in self._config.simulated_node_names:
                await self._add(self._simulated(name, next(self._indexes)))
        except RuntimeFailure as error:
            raise StartFailed(f"a node cannot start: {error}") from error
        if self._networks:
            self._services.start(self._networks, api_doors(self._config, api_port))
        await self._dispatcher.start(self._agents)
        await PostedNodes(control.informers, control.tasks, self).start()

    async def start_simulated(self, name: str) -> Agent:
        """Simulate a Node that somebody posted, and hand it its pods. Raises RuntimeFailure, StatusError."""
        if name in self._agents:
            raise RuntimeFailure("NodeRuns", f"node {name} runs already", temporary=False)
        agent = self._simulated(name, next(self._indexes))
        await self._add(agent)
        await self._dispatcher.add(agent)
        return agent

    async def retire(self, agent: Agent) -> None:
        """Stop a node whose object is gone, with all that ran on it."""
        self._agents.pop(agent.name, None)
        self._dispatcher.remove(agent)
        await agent.retire()

    async def close(self) -> None:
        """End all pods' processes in order; their objects stay, and come back with the next start."""
        await asyncio.gather(*(self._stop_pods(agent) for agent in self._agents.values()))
        await self._services.close()
        if self._host is not None:
            await self._host.destroy()

    async def _stop_pods(self, agent: Agent) -> None:
        try:
            await agent.stop_pods(SHUTDOWN_GRACE_SECONDS)
        except (RuntimeFailure, OSError) as error:
            log.warning("pods_not_stopped node=%s error=%s", agent.name, error)

    async def _start_real(self, name: str, index: int) -> None:
        if self._host is None or self._images is None:
            raise StartFailed("real nodes were not prepared")
        runtime = NativeRuntime(self._host, self._images, name, index, self._control.clock)
        machine = machine_for(name, index, runtime.version, self._config.directory)
        settings = NodeSettings(
            machine, self._directory / "files" / name, dns_servers=(DNS_SERVICE_ADDRESS,), domain=CLUSTER_DOMAIN
        )
        self._networks[name] = runtime
        await self._add(Agent(settings, runtime, self._around(name)))

    def _simulated(self, name: str, index: int) -> Agent:
        from moorage.node.runtimes.simulated import FINISHING, SimulatedRuntime

        runtime = SimulatedRuntime(self._control.clock, index, of_jobs=FINISHING)
        settings = NodeSettings(
            simulated_machine(name, index),
            self._directory / "files" / name,
            renew_seconds=SIMULATED_RENEW_SECONDS,
            is_real=False,
        )
        return Agent(settings, runtime, self._around(name))

    async def _add(self, agent: Agent) -> None:
        await agent.start()
        self._agents[agent.name] = agent

    def _around(self, name: str) -> Surroundings:
        from moorage.api.request import User

        user = User(f"system:node:{name}", ("system:nodes", "system:authenticated"))
        control = self._control
        client = control.client_for("kubelet", user)
        return Surroundings(
            client,
            control.informers,
            control.recorder,
            self.drivers,
            control.clock,
            control.tasks,
            self._references,
        )


def _registries() -> Registries | None:
    """Return how the user wants registries to be reached, None without a word about it. Raises StartFailed."""
    path = registries_path()
    if not path.exists():
        return None
    try:
        return read_registries(path)
    except RuntimeFailure as error:
        raise StartFailed(str(error), hint="Mend or remove it, then try again.") from error
