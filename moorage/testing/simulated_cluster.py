"""A whole cluster inside one simulation loop: store, control plane and nodes, which can crash and come back.

What survives a crash is what survives one in truth: the store, what runs on the nodes, the volumes.
"""

from pathlib import Path
from typing import Final

from moorage.aio.clock import Clock
from moorage.aio.entropy import Entropy
from moorage.aio.signal import Signal
from moorage.aio.tasks import Tasks
from moorage.api.authorization import Rbac
from moorage.api.request import SYSTEM, User
from moorage.api.reviews import Reviews
from moorage.api.tokens import Tokens
from moorage.client.client import Client
from moorage.cluster.certificates import ensure_pki
from moorage.cluster.control_plane import ControlPlane
from moorage.cluster.local import LocalClient
from moorage.cluster.machine import simulated_machine
from moorage.node.agent import Agent, Dispatcher, NodeSettings, Surroundings
from moorage.node.runtimes.simulated import Behaviour, SimulatedRuntime
from moorage.store.memory import MemoryStore
from moorage.testing.faults import FaultyClient, Weather
from moorage.volumes.simulated import SimulatedDriver

#: What the images of simulated users do.
BEHAVIOURS: Final = {
    "*/slow:*": Behaviour(pull_seconds=3.0, start_seconds=1.0, ready_after=4.0, stops_in=3.0),
    "*/stubborn:*": Behaviour(stops_in=None),
    "*/crash:*": Behaviour(exits_after=2.0, exit_code=1),
}

#: Simulated nodes say that they live this often, in seconds.
RENEW_SECONDS: Final = 10.0


class FaultyControlPlane(ControlPlane):
    """A control plane whose components reach the API through the weather."""

    def __init__(self, store: MemoryStore, clock: Clock, entropy: Entropy, tasks: Tasks, weather: Weather) -> None:
        self._weather = weather
        super().__init__(store, clock, entropy, tasks)

    def client_for(self, component: str, user: User | None = None) -> Client:  # type: ignore[override]
        """Return a client in the name of a component."""
        name = user.name if user else component
        return FaultyClient(super().client_for(component, user), self._weather, name)


class SimulatedCluster:
    """Starts, crashes and restarts the parts of a cluster. `directory` takes the nodes' files."""

    def __init__(self, clock: Clock, entropy: Entropy, weather: Weather, directory: Path, nodes: int = 3) -> None:
        self.store = MemoryStore()
        self.driver = SimulatedDriver()
        self.node_names = tuple(f"node-{index}" for index in range(1, nodes + 1))
        self.runtimes = {
            name: SimulatedRuntime(clock, index, BEHAVIOURS) for index, name in enumerate(self.node_names, start=1)
        }
        self._clock = clock
        self._entropy = entropy
        self._weather = weather
        self._directory = directory
        self._pki = ensure_pki(directory / "pki", clock.now(), "127.0.0.1")
        self._tasks = Tasks("cluster")
        self.control = self._control_plane()

    @property
    def client(self) -> LocalClient:
        """A client to which nothing bad happens."""
        return LocalClient(self.control.api, SYSTEM, "simulation")

    async def start(self) -> None:
        """Start everything over what is there; returns once the nodes take pods. The weather must be calm."""
        control = self.control
        await control.open(api_port=6443)
        await control.grant()
        await control.start({self.driver.name: self.driver}, lambda: "a certificate")
        agents = {name: self._agent(index, name) for index, name in enumerate(self.node_names, start=1)}
        for agent in agents.values():
            await agent.start()
        await Dispatcher(control.informers).start(agents)

    async def crash(self) -> None:
        """End all processes at once, wherever they are; containers and volumes stay."""
        if self.control.reconciler is not None:
            self.control.reconciler.stop()
        await self._tasks.close()
        self.store.changed = Signal()

    async def restart(self) -> None:
        """Start new processes over what the old ones left."""
        self._tasks = Tasks("cluster")
        self.control = self._control_plane()
        await self.start()

    def stories(self, name: str = "", last: int = 12) -> list[str]:
        """Return the latest decisions about a name, or all."""
        reconciler = self.control.reconciler
        entries = reconciler.story.about(name=name)[-last:] if reconciler is not None else []
        return [
            f"{entry.at:%H:%M:%S.%f} {entry.controller} {entry.ref.namespace}/{entry.ref.name}: "
            f"{entry.because} {list(entry.actions)} {entry.outcome} {entry.error}".rstrip()
            for entry in entries
        ]

    def _control_plane(self) -> FaultyControlPlane:
        control = FaultyControlPlane(self.store, self._clock, self._entropy, self._tasks, self._weather)
        tokens = Tokens(self._pki.account_key.read_bytes, self._pki.account_public_key.read_bytes, self._entropy)
        reviews = Reviews(Rbac(control.lookup), tokens, self._clock)
        control.api.creations.update(reviews.creations())
        return control

    def _agent(self, index: int, name: str) -> Agent:
        control = self.control
        user = User(f"system:node:{name}", ("system:nodes", "system:authenticated"))
        settings = NodeSettings(simulated_machine(name, index), self._directory / name, renew_seconds=RENEW_SECONDS)
        drivers = {self.driver.name: self.driver}
        client = control.client_for("kubelet", user)
        around = Surroundings(client, control.informers, control.recorder, drivers, self._clock, self._tasks)
        return Agent(settings, self.runtimes[name], around)
