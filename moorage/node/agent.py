"""One node: registers it, keeps it alive in others' eyes, and gives every pod that is bound to it a worker."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from moorage.aio.clock import Clock
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Target
from moorage.node.containers import NodeFacts
from moorage.node.mounts import Mounts
from moorage.node.node_status import (
    LEASE_RENEW_SECONDS,
    Machine,
    is_status_due,
    lease_object,
    node_object,
    node_status,
    with_network,
)
from moorage.node.prober import Prober
from moorage.node.references import References
from moorage.node.runtimes.runtime import Runtime
from moorage.node.tools import Tools
from moorage.node.worker import PodWorker
from moorage.objects.encoded import Encoded
from moorage.objects.errors import AlreadyExists, Conflict, NotFound, StatusError
from moorage.objects.metadata import (
    Object,
    condition_of,
    finalizers_of,
    format_micro_time,
    is_terminating,
    name_of,
    uid_of,
)
from moorage.objects.pods import JOB_FINALIZER
from moorage.reconciler.events import Recorder
from moorage.reconciler.informer import Informers
from moorage.volumes.driver import Driver

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes of a process share."""

    client: Client
    informers: Informers
    recorder: Recorder
    drivers: Mapping[str, Driver]
    clock: Clock
    tasks: Tasks
    references: References | None = None


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One node. directory holds its pods' files and logs; renew_seconds is how often it says that it lives.

    is_real: its pods have processes that read the files which are mounted for them.
    """

    machine: Machine
    directory: Path
    dns_servers: tuple[str, ...] = ()
    domain: str = "cluster.local"
    renew_seconds: float = LEASE_RENEW_SECONDS
    is_real: bool = True


class Agent:
    """Runs the pods of one node."""

    def __init__(self, settings: NodeSettings, runtime: Runtime, around: Surroundings) -> None:
        machine = settings.machine
        self.name = machine.hostname
        self.runtime = runtime
        self.facts = NodeFacts(
            self.name, machine.ip, str(settings.directory / "logs"), settings.dns_servers, settings.domain
        )
        self._settings = settings
        self._around = around
        mounts = Mounts(
            settings.directory / "pods",
            self.name,
            machine.ip,
            around.client,
            around.drivers,
            around.clock,
            is_real=settings.is_real,
        )
        self._tools = Tools(
            around.client,
            runtime,
            mounts,
            Prober(runtime, around.tasks),
            around.references or References(around.informers),
            around.recorder,
            around.clock,
            around.tasks,
            self.facts,
            {"cpu": str(machine.cpus), "memory": str(machine.memory)},
        )
        self._workers: dict[str, PodWorker] = {}
        self._working: dict[asyncio.Task[None], None] = {}
        self._is_closing = False
        self._node: Object = {}
        self._kept: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Get the runtime ready and register the node. Raises RuntimeFailure."""
        await self.runtime.start()
        self._node = await self._register()
        await self._renew()
        tasks = self._around.tasks
        self._kept = [
            tasks.keep(f"node/{self.name}/events", self._follow_runtime),
            tasks.keep(f"node/{self.name}/alive", self._keep_alive),
        ]

    async def adopt(self, pods: list[Object]) -> None:
        """Take over the node's pods as of now; sandboxes whose pods are gone are removed."""
        for pod in pods:
            self.see(pod)
        known = {uid_of(pod) for pod in pods}
        for sandbox in await self.runtime.list_sandboxes():
            if sandbox.uid not in known:
                await self.runtime.stop_sandbox(sandbox.uid)
                await self.runtime.remove_sandbox(sandbox.uid)
                await self._tools.mounts.remove(sandbox.uid)

    def see(self, pod: Object) -> None:
        """Take a new state of a pod that is bound to this node."""
        if not self._settings.is_real and is_held(pod):
            return
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.update(pod)
            return
        if self._is_closing:
            return
        if not self._settings.is_real and is_posed(pod):
            if is_terminating(pod):  # nothing of it runs
                self._around.tasks.start(f"pod/{name_of(pod)}/release", self._tools.drop(pod))
            return
        worker = self._workers[uid_of(pod)] = PodWorker(self._tools, pod)
        task = self._around.tasks.start(f"pod/{pod['metadata']['name']}", self._work(worker))
        self._working[task] = None
        task.add_done_callback(self._working.pop)

    def lose(self, uid: str) -> None:
        """The pod's object is gone."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.vanish()

    def images_arrived(self, is_same: Callable[[str], bool]) -> None:
        """Images were loaded: pods that wait for one of them go on. is_same: tells whether a reference names one."""
        for worker in self._workers.values():
            worker.images_arrived(is_same)

    def runs(self, uid: str, container: str, attempt: int) -> bool:
        """Tell whether this attempt at a container was running when its pod was last looked at."""
        worker = self._workers.get(uid)
        return worker is not None and worker.running.get(container) == attempt

    async def stop_pods(self, grace_seconds: float) -> None:
        """End all containers, within their own grace period and this time: the machine goes down. Their objects stay.

        Nothing is started again meanwhile.
        """
        self._end_work(self._working)

        async def stop(uid: str, container: str) -> None:
            worker = self._workers.get(uid)
            own = worker.pod["spec"].get("terminationGracePeriodSeconds") if worker is not None else None
            seconds = grace_seconds if own is None else min(grace_seconds, float(own))
            await self.runtime.stop_container(uid, container, seconds)

        await asyncio.gather(
            *(
                stop(sandbox.uid, container.id)
                for sandbox in await self.runtime.list_sandboxes()
                for container in sandbox.containers
                if container.state == "running"
            ),
            return_exceptions=True,
        )

    async def retire(self) -> None:
        """End all that runs at once and say no more that the node lives: its object is gone."""
        self._end_work([*self._kept, *self._working])
        for sandbox in await self.runtime.list_sandboxes():
            await self.runtime.remove_sandbox(sandbox.uid)
            await self._tools.mounts.remove(sandbox.uid)

    def _end_work(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        self._is_closing = True
        for task in list(tasks):
            task.cancel()

    async def _work(self, worker: PodWorker) -> None:
        while True:
            try:
                await worker.run()
            except (StatusError, ConnectionError, OSError) as error:
                log.warning("pod_round_failed pod=%s error=%s", worker.pod["metadata"]["name"], error)
            except Exception:
                log.exception("pod_round_failed pod=%s", worker.pod["metadata"]["name"])
            else:
                break
            await asyncio.sleep(1.0)
        self._workers.pop(worker.uid, None)

    async def _register(self) -> Object:
        """Create the Node, or take the one that is there, and publish its status."""
        client, machine = self._around.client, self._settings.machine
        wanted = node_object(machine)
        try:
            node = await client.create("nodes", wanted)
        except AlreadyExists:
            node = await self._with_network(await client.get(Target("nodes", "", self.name)))
        return await self._publish(node)

    async def _with_network(self, node: Object) -> Object:
        """Let a Node that others made name the network of its pods."""
        spec = with_network(self._settings.machine, node["spec"])
        if spec is node["spec"]:
            return node
        patch = {"spec": {key: spec[key] for key in ("podCIDR", "podCIDRs")}}
        return await self._around.client.patch(Target("nodes", "", self.name), patch)

    async def _publish(self, node: Object) -> Object:
        """Write the node's status, from a state of it that may be old."""
        client, machine = self._around.client, self._settings.machine
        for _ in range(5):
            status = node_status(machine, node, self._around.clock.now())
            try:
                return await client.update("nodes", {**node, "status": status}, subresource="status")
            except Conflict:
                node = await client.get(Target("nodes", "", self.name))
        raise ConnectionError(f"node {self.name} could not publish its status: others write it all the time")

    async def _renew(self) -> None:
        """Say that the node lives."""
        client, now = self._around.client, self._around.clock.now()
        patch = {"spec": {"renewTime": format_micro_time(now)}}
        try:
            await client.patch(Target("leases.coordination.k8s.io", "kube-node-lease", self.name), patch)
        except NotFound:
            try:
                await client.create("leases.coordination.k8s.io", lease_object(self._node, now))
            except AlreadyExists:
                return

    async def _keep_alive(self) -> None:
        """Renew the lease, and say again what others no longer believe: who was silent is declared not ready."""
        while True:
            await asyncio.sleep(self._settings.renew_seconds)
            try:
                await self._renew()
                node = self._around.informers.get("nodes", "", self.name)
                if node is not None and is_status_due(self._settings.machine, node, self._around.clock.now()):
                    await self._publish(node)
            except (StatusError, ConnectionError) as error:
                log.warning("node_not_heard node=%s error=%s", self.name, error)

    async def _follow_runtime(self) -> None:
        async for uid in self.runtime.events():
            worker = self._workers.get(uid)
            if worker is not None:
                worker.wake()


def is_posed(pod: Object) -> bool:
    """Tell whether somebody else than a node gave the pod its address, as tests of controllers do.

    Its status is then theirs to write. A node's own statuses have a condition that only nodes write.
    """
    has_address = bool((pod.get("status") or {}).get("podIP"))
    return has_address and condition_of(pod, "PodReadyToStartContainers") is None


def is_held(pod: Object) -> bool:
    """Tell whether a deleted pod's finalizers keep a simulated node from ending it, as KWOK's do.

    That of Jobs does not: it waits for the pod's end itself.
    """
    return is_terminating(pod) and any(each != JOB_FINALIZER for each in finalizers_of(pod))


class Dispatcher:
    """Hands each pod's changes to the agent of its node: one subscription for all nodes of the process."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._agents: dict[str, Agent] = {}

    async def start(self, agents: Mapping[str, Agent]) -> None:
        """Give each agent the pods it has, then what changes."""
        self._agents.update(agents)
        cache = self._informers.cache("pods")
        await cache.synced()
        cache.subscribe(self._changed)
        for agent in agents.values():
            await self._hand_over(agent)

    async def add(self, agent: Agent) -> None:
        """Give a node that came later the pods it has, then what changes."""
        self._agents[agent.name] = agent
        await self._hand_over(agent)

    def remove(self, agent: Agent) -> None:
        """Tell the agent no more."""
        self._agents.pop(agent.name, None)

    async def _hand_over(self, agent: Agent) -> None:
        await agent.adopt(list(self._informers.indexed("pods", "spec.nodeName", agent.name)))

    def _changed(self, new: Encoded | None, old: Encoded | None) -> None:
        item = new or old
        if item is None:
            return
        agent = self._agents.get(item.fields.get("spec.nodeName", ""))
        if agent is None:
            return
        if new is not None:
            agent.see(new.object)
        else:
            agent.lose(item.uid)
