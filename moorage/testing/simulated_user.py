"""A user who does things at random, as users do, and in the end leaves everything in a state that can be reached."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from moorage.aio.entropy import Entropy
from moorage.client.client import Target
from moorage.objects.errors import StatusError
from moorage.objects.metadata import Object, finalizers_of, name_of, uid_of
from moorage.objects.pods import node_of
from moorage.testing import builders
from moorage.testing.history import History
from moorage.testing.invariants import HOLD
from moorage.testing.simulated_cluster import SimulatedCluster

NAMESPACE: Final = "simulation"

#: Images that come to run, and one that never does.
GOOD: Final = ("example.com/app:1", "example.com/app:2", "example.com/slow:1", "example.com/stubborn:1")
BAD: Final = "example.com/crash:1"

WORKLOADS: Final = ("statefulsets.apps", "replicasets.apps", "deployments.apps")

#: Object names are few, so that names come back after a deletion.
NAMES: Final = ("bow", "stern", "mast")

Act = Callable[[], Awaitable[str]]


class SimulatedUser:
    """Acts on a cluster through a client to which nothing bad happens."""

    def __init__(self, cluster: SimulatedCluster, history: History, entropy: Entropy) -> None:
        self._cluster = cluster
        self._history = history
        self._entropy = entropy
        self._acts: Sequence[tuple[int, Act]] = (
            (4, self._create_stateful_set),
            (2, self._create_replica_set),
            (2, self._create_deployment),
            (6, self._scale),
            (4, self._set_image),
            (4, self._delete_pod),
            (2, self._crash_container),
            (2, self._delete_workload),
            (1, self._delete_claim),
            (1, self._hold),
            (1, self._let_go),
        )

    async def begin(self) -> None:
        """Create the namespace that everything happens in."""
        await self._cluster.client.create("namespaces", builders.namespace(NAMESPACE))

    async def act(self) -> str:
        """Do something; returns what, and how it was refused if it was."""
        act: Act = self._choice([act for weight, act in self._acts for _ in range(weight)])
        try:
            return await act()
        except StatusError as error:
            return f"{getattr(act, '__name__', '')[1:]}: refused: {error}"

    async def come_to_rest(self) -> None:
        """Make what is wanted reachable: no image that cannot run, nothing held."""
        for resource in WORKLOADS:
            for each in self._all(resource):
                if _image_of(each) == BAD:
                    await self._patch_image(resource, name_of(each), GOOD[0])
        for _, obj in list(self._history.everything()):
            if HOLD in finalizers_of(obj):
                await self._release(obj)

    async def free_stuck_pods(self) -> None:
        """Delete pods of ordered sets that wait with a broken image: as upstream, a rollback alone does not free them."""
        for pod in self._history.all("pods"):
            if (pod.get("spec") or {})["containers"][0]["image"] == BAD:
                await self._client.delete(_target("pods", name_of(pod)))

    @property
    def _client(self) -> Any:
        return self._cluster.client

    async def _create_stateful_set(self) -> str:
        name, replicas = self._choice(NAMES), self._number(5)
        policy = self._choice(("OrderedReady", "OrderedReady", "Parallel"))
        claims = ("data",) if self._number(3) else ()
        made = builders.stateful_set(name, NAMESPACE, replicas, self._choice(GOOD), claims=claims, policy=policy)
        await self._client.create("statefulsets.apps", made)
        return f"create {policy} statefulset {name} of {replicas}{' with claims' if claims else ''}"

    async def _create_replica_set(self) -> str:
        name, replicas = f"rs-{self._choice(NAMES)}", self._number(6)
        await self._client.create(
            "replicasets.apps", builders.replica_set(name, NAMESPACE, replicas, self._choice((*GOOD, BAD)))
        )
        return f"create replicaset {name} of {replicas}"

    async def _create_deployment(self) -> str:
        name, replicas = f"deploy-{self._choice(NAMES)}", self._number(6)
        await self._client.create(
            "deployments.apps", builders.deployment(name, NAMESPACE, replicas, self._choice(GOOD))
        )
        return f"create deployment {name} of {replicas}"

    async def _scale(self) -> str:
        resource, name = self._workload()
        replicas = self._number(7)
        await self._client.patch(_target(resource, name), {"spec": {"replicas": replicas}})
        return f"scale {resource} {name} to {replicas}"

    async def _set_image(self) -> str:
        resource, name = self._workload()
        image = self._choice((*GOOD, BAD))
        await self._patch_image(resource, name, image)
        return f"set the image of {resource} {name} to {image}"

    async def _delete_pod(self) -> str:
        name = name_of(self._some("pods"))
        await self._client.delete(_target("pods", name))
        return f"delete pod {name}"

    async def _crash_container(self) -> str:
        pod = self._some("pods")
        runtime = self._cluster.runtimes.get(node_of(pod))
        sandbox = await runtime.sandbox_state(uid_of(pod)) if runtime is not None else None
        for container in sandbox.containers if sandbox is not None else ():
            if runtime is not None and container.state == "running":
                runtime.end_container(uid_of(pod), container.id, 1)
        return f"crash the containers of pod {name_of(pod)}"

    async def _delete_workload(self) -> str:
        resource, name = self._workload()
        policy = self._choice(("Background", "Background", "Foreground", "Orphan"))
        await self._client.delete(_target(resource, name), {"propagationPolicy": policy})
        return f"delete {resource} {name} ({policy})"

    async def _delete_claim(self) -> str:
        name = name_of(self._some("persistentvolumeclaims"))
        await self._client.delete(_target("persistentvolumeclaims", name))
        return f"delete claim {name}"

    async def _hold(self) -> str:
        pod = self._some("pods")
        finalizers = [*finalizers_of(pod), HOLD]
        await self._client.patch(_target("pods", name_of(pod)), {"metadata": {"finalizers": finalizers}})
        return f"hold pod {name_of(pod)}"

    async def _let_go(self) -> str:
        held = [pod for pod in self._history.all("pods") if HOLD in finalizers_of(pod)]
        if not held:
            return "nothing is held"
        await self._release(held[0])
        return f"let go of pod {name_of(held[0])}"

    async def _release(self, pod: Object) -> None:
        self._history.released.add(uid_of(pod))
        finalizers = [each for each in finalizers_of(pod) if each != HOLD]
        await self._client.patch(_target("pods", name_of(pod)), {"metadata": {"finalizers": finalizers}})

    async def _patch_image(self, resource: str, name: str, image: str) -> None:
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
        content_type = "application/strategic-merge-patch+json"
        await self._client.patch(_target(resource, name), patch, content_type=content_type)

    def _all(self, resource: str) -> list[Object]:
        """Return the user's own objects: not what controllers made."""
        found = self._history.all(resource.partition(".")[0])
        return [obj for obj in found if not (obj.get("metadata") or {}).get("ownerReferences") or resource == "pods"]

    def _workload(self) -> tuple[str, str]:
        found = [(resource, name_of(obj)) for resource in WORKLOADS for obj in self._all(resource)]
        return self._choice(found) if found else ("statefulsets.apps", NAMES[0])

    def _some(self, resource: str) -> Object:
        """Return any object of the resource; one that does not exist if there is none."""
        found = self._all(resource)
        return self._choice(found) if found else {"metadata": {"name": "nobody", "namespace": NAMESPACE}}

    def _choice(self, options: Sequence[Any]) -> Any:
        return options[self._number(len(options) - 1)]

    def _number(self, most: int) -> int:
        """Return a number from 0 to `most`."""
        return int(self._entropy.fraction() * (most + 1))


def _image_of(workload: Object) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


def _target(resource: str, name: str) -> Target:
    return Target(resource, NAMESPACE, name)
