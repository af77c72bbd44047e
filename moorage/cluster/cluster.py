"""One cluster in one process: opens its state, starts its control plane, its nodes and its front door, in this order."""

import logging
import os
from collections.abc import Callable
from functools import partial

from moorage import __version__
from moorage.aio.clock import SystemClock
from moorage.aio.entropy import SystemEntropy
from moorage.aio.tasks import Tasks
from moorage.cluster.aggregation.front_proxy import FrontProxy
from moorage.cluster.aggregation.remotes import Means, Remotes
from moorage.cluster.certificates import Pki, ensure_pki, sign_request
from moorage.cluster.config import ClusterConfig
from moorage.cluster.control import ControlServer
from moorage.cluster.control_plane import ControlPlane
from moorage.cluster.front_door import FrontDoor
from moorage.cluster.image_verbs import image_verbs
from moorage.cluster.instance import Instance, last_facts
from moorage.cluster.nodes import Nodes, endpoint_address
from moorage.cluster.process import StartFailed
from moorage.cluster.story_verb import story_verbs
from moorage.cluster.webhooks.calling import HttpsCaller
from moorage.objects.metadata import format_time
from moorage.store.errors import StoreDamaged, StoreError
from moorage.store.store import Store

log = logging.getLogger(__name__)

Say = Callable[[str], None]


class Cluster:
    """Starts and stops the parts of a cluster."""

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config
        self.clock = SystemClock()
        self.entropy = SystemEntropy()
        self.tasks = Tasks("cluster")
        #: The brain, once `start` has made it.
        self.control: ControlPlane | None = None
        self._store: Store | None = None
        self._door: FrontDoor | None = None
        self._nodes: Nodes | None = None
        self._webhooks: HttpsCaller | None = None
        self._socket: ControlServer | None = None

    async def start(self, say: Say) -> None:
        """Start everything; returns when the API answers and all nodes are ready. Raises StartFailed."""
        config = self.config
        pki = ensure_pki(config.directory / "pki", self.clock.now(), config.host)
        self._store = _opened(config)
        say("State opened" if not config.memory else "State in memory")
        control = self.control = ControlPlane(self._store, self.clock, self.entropy, self.tasks)
        self._nodes = Nodes(config, control)
        self._webhooks = HttpsCaller(control.lookup, self._nodes.gateway, self.clock, self.entropy)
        control.call_webhooks_with(self._webhooks)
        preparing = self.tasks.start("nodes/prepare", self._nodes.prepare())
        front_proxy = FrontProxy(pki, self.clock)
        means = Means(control.lookup, self._nodes.gateway, self.entropy, front_proxy, {})
        remotes = Remotes(control.api.caches, means)
        self._door = FrontDoor(config, pki, control, self._nodes.gateway, remotes)
        port = await self._door.listen(last_facts(config.directory).get("port", 0))
        await control.open(port, endpoint_address(config))
        remotes.follow()
        await self._door.serve()
        self.tasks.start("bootstrap-policy", self._grant(control, front_proxy, remotes))
        say(f"API listens on https://{config.host}:{port}")
        issue = self._door.tokens.issue_for_secret
        await control.start(self._nodes.drivers, pki.authority.read_text, issue, partial(sign_request, pki))
        say("Controllers and scheduler work")
        await preparing
        await self._nodes.start(port)
        if config.nodes or config.simulated_nodes:
            say(_ready_text(config))
        nodes = self._nodes
        stories = story_verbs(lambda: control.reconciler.story if control.reconciler is not None else None)
        self._socket = ControlServer(config.directory, {**image_verbs(lambda: nodes.images), **stories})
        await self._socket.start()
        self._publish(pki, port)

    async def _grant(self, control: ControlPlane, front_proxy: FrontProxy, remotes: Remotes) -> None:
        from moorage.cluster.aggregation.availability import Availability

        await control.grant()
        if self._door is not None:
            self._door.open()
        availability = Availability(remotes, control.client, control.lookup, self.clock)
        availability.follow(control.api.caches)
        self.tasks.keep("aggregation", availability.run)
        await front_proxy.publish(control.client, control.lookup)

    async def close(self) -> None:
        """Stop in reverse order: nobody writes any more when the store closes."""
        if self._socket is not None:
            await self._socket.close()
        if self._door is not None:
            await self._door.close()
        if self._nodes is not None:
            await self._nodes.close()
        if self._webhooks is not None:
            await self._webhooks.close()
        await self.tasks.close()
        if self._store is not None:
            await self._store.close()

    def _publish(self, pki: Pki, port: int) -> None:
        config = self.config
        url = f"https://{config.host}:{port}"
        write_kubeconfig(config, pki, url)
        now = format_time(self.clock.now())
        Instance(os.getpid(), url, port, now, __version__, config.node_names, config.simulated_nodes).publish(
            config.directory
        )


def _opened(config: ClusterConfig) -> Store:
    if config.memory:
        from moorage.store.memory import MemoryStore

        return MemoryStore()
    from moorage.store.sqlite import SqliteStore

    path = config.directory / "state.db"
    try:
        return SqliteStore(str(path))
    except StoreDamaged as error:
        raise StartFailed(str(error), hint=f"The files are untouched: {path}") from error
    except (StoreError, OSError) as error:
        raise StartFailed(
            f"the state {path} cannot be opened: {error}", hint="Choose another one with --data-dir."
        ) from error


def _ready_text(config: ClusterConfig) -> str:
    real = f"{config.nodes} node{'s' if config.nodes != 1 else ''} ready" if config.nodes else ""
    simulated = f"{config.simulated_nodes} simulated" if config.simulated_nodes else ""
    return ", ".join(part for part in (real, simulated) if part)


def write_kubeconfig(config: ClusterConfig, pki: Pki, url: str) -> None:
    """Write the administrator's own kubeconfig, readable by its owner alone."""
    from moorage.client.kubeconfig import Credentials, write_file

    credentials = Credentials(url, authority=pki.authority.read_bytes(), token=pki.administrator_token.read_text())
    write_file(config.kubeconfig, config.context, credentials)
