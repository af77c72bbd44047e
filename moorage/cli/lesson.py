"""The lesson on StatefulSets: the practice of the tutorial, step by step, with what is seen at each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from moorage.aio.tasks import Tasks
from moorage.cli.stage import SIDES, Stage
from moorage.client.client import Client, Selection, Target
from moorage.objects.errors import AlreadyExists, Expired, NotFound
from moorage.objects.metadata import Object, controller_of, is_condition_true, is_terminating, name_of

NAMESPACE = "moorage-demo"
IMAGE = "moorage.local/host"

#: How long a step may take, in seconds.
STEP_MOST = 60.0

#: Every start of a pod adds a line to its volume, so that the volume tells who was there.
_COMMAND = ["sh", "-c", 'echo "$HOSTNAME was here" >> /berth/log; trap "exit 0" TERM; sleep 1000000 & wait']

Pods = Mapping[str, Object]


class LessonFailed(Exception):
    """A step did not come to its end."""


class Lesson:
    """Plays the lesson through one client; `volumes` is where the cluster's volumes are on this machine."""

    def __init__(self, client: Client, stage: Stage, volumes: Path) -> None:
        self._client = client
        self._stage = stage
        self._volumes = volumes
        self._pods: dict[str, Object] = {}
        self._moved = asyncio.Event()

    async def play(self, *, keep: bool) -> None:
        """Play all chapters; what was made is removed afterwards unless `keep`. Raises LessonFailed."""
        await self._clear()
        await self._client.create(
            "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        async with self._watching():
            await self._names()
            await self._order()
            await self._replacement()
            await self._berths()
            await self._departure()
        if not keep:
            await self._clear()

    async def _names(self) -> None:
        self._stage.chapter("1. One pod each: a random name against a number")
        self._stage.command("kubectl apply -f replicaset.yaml -f statefulset.yaml")
        await self._client.create("replicasets.apps", _workload("ReplicaSet", "web", 1))
        await self._client.create("statefulsets.apps", _workload("StatefulSet", "db", 1))
        await self._until(lambda pods: len(pods) == 2 and _all_ready(pods.values()))
        names = sorted(self._pods)
        self._stage.say(f"The ReplicaSet's pod is {names[1]}; the StatefulSet's is {names[0]}, and always will be.")

    async def _order(self) -> None:
        self._stage.chapter("2. Three pods each: all at once against one after the other")
        self._stage.command("kubectl scale replicaset/web statefulset/db --replicas=3")
        await self._scale(3)
        await self._until(lambda pods: len(pods) == 6 and _all_ready(pods.values()))
        self._stage.say("db-1 came when db-0 was ready, db-2 when db-1 was.")

    async def _replacement(self) -> None:
        web = next(name for name in sorted(self._pods) if name.startswith("web-"))
        self._stage.chapter("3. A pod of each is deleted: a new name against the same one")
        self._stage.command(f"kubectl delete pod {web} db-0")
        await self._client.delete(Target("pods", NAMESPACE, web))
        await self._client.delete(Target("pods", NAMESPACE, "db-0"))
        await self._until(lambda pods: web not in pods and len(pods) == 6 and _all_ready(pods.values()))
        self._stage.say(f"{web} is gone for good; db-0 is back.")

    async def _berths(self) -> None:
        self._stage.chapter("4. Each pod of the StatefulSet has a volume that outlives it")
        self._stage.command("kubectl get pvc,pv")
        claims = (await self._client.list("persistentvolumeclaims", Selection(NAMESPACE))).items
        for claim in (item.object for item in claims):
            volume = claim["spec"]["volumeName"]
            lines = (self._volumes / volume / "data" / "log").read_text().splitlines()
            self._stage.say(f"{name_of(claim)} -> {volume}: {', '.join(lines)}")
        self._stage.say("db-0 wrote twice: it came back to its own volume, on its own node.")

    async def _departure(self) -> None:
        self._stage.chapter("5. Down to nothing: all at once against the last one first")
        self._stage.command("kubectl scale replicaset/web statefulset/db --replicas=0")
        await self._scale(0)
        await self._until(lambda pods: not pods)
        claims = (await self._client.list("persistentvolumeclaims", Selection(NAMESPACE))).items
        self._stage.say(
            f"db-2 went first, db-0 last. {len(claims)} claims stay, with their data, until you delete them."
        )

    async def _scale(self, replicas: int) -> None:
        patch = {"spec": {"replicas": replicas}}
        await self._client.patch(Target("replicasets.apps", NAMESPACE, "web"), patch)
        await self._client.patch(Target("statefulsets.apps", NAMESPACE, "db"), patch)

    async def _until(self, met: Callable[[Pods], bool]) -> None:
        """Show the pods until a condition on them holds. Raises LessonFailed after STEP_MOST."""
        try:
            async with asyncio.timeout(STEP_MOST):
                while True:
                    self._moved.clear()
                    self._stage.show(_board(self._pods.values()))
                    if met(self._pods):
                        break
                    await self._moved.wait()
        except TimeoutError:
            states = ", ".join(f"{name}: {_state(pod)}" for name, pod in sorted(self._pods.items()))
            raise LessonFailed(f"the step did not end within {STEP_MOST:g} s ({states})") from None
        finally:
            self._stage.settle()

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        async with Tasks("lesson") as tasks:
            tasks.keep("follow", self._follow)
            yield

    async def _follow(self) -> None:
        selection = Selection(NAMESPACE)
        while True:
            listing = await self._client.list("pods", selection)
            self._pods = {item.name: item.object for item in listing.items}
            self._moved.set()
            try:
                async for changes in self._client.watch("pods", listing.revision, selection):
                    for change in changes:
                        if change.item is None:
                            continue
                        if change.kind == "DELETED":
                            self._pods.pop(change.item.name, None)
                        else:
                            self._pods[change.item.name] = change.item.object
                    self._moved.set()
            except Expired:
                continue

    async def _clear(self) -> None:
        """Remove the lesson's namespace and wait until it is gone."""
        target = Target("namespaces", "", NAMESPACE)
        try:
            async with asyncio.timeout(STEP_MOST):
                await self._client.delete(target)
                while True:
                    await self._client.get(target)
                    await asyncio.sleep(0.05)
        except NotFound:
            return
        except TimeoutError:
            raise LessonFailed(f"the namespace {NAMESPACE} of an earlier lesson does not go away") from None
        except AlreadyExists:
            return


def _workload(kind: str, name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    stateful = kind == "StatefulSet"
    volume: dict[str, Any] = {"name": "berth"}
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": _COMMAND,
        "volumeMounts": [{"name": "berth", "mountPath": "/berth"}],
    }
    pod_spec: dict[str, Any] = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    spec: dict[str, Any] = {"replicas": replicas, "selector": {"matchLabels": labels}}
    if stateful:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
        spec |= {"serviceName": name, "volumeClaimTemplates": [{"metadata": {"name": "berth"}, "spec": claim}]}
    else:
        pod_spec["volumes"] = [{**volume, "emptyDir": {}}]
    spec["template"] = {"metadata": {"labels": labels}, "spec": pod_spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _board(pods: Iterable[Object]) -> dict[str, list[tuple[str, str]]]:
    board: dict[str, list[tuple[str, str]]] = {side: [] for side in SIDES}
    for pod in sorted(pods, key=lambda each: (each["metadata"]["creationTimestamp"], name_of(each))):
        owner = controller_of(pod)
        if owner is not None and owner["kind"] in board:
            board[owner["kind"]].append((name_of(pod), _state(pod)))
    return board


def _state(pod: Object) -> str:
    if is_terminating(pod):
        return "Terminating"
    if is_condition_true(pod, "Ready"):
        return "Running"
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _all_ready(pods: Iterable[Object]) -> bool:
    return all(is_condition_true(pod, "Ready") and not is_terminating(pod) for pod in pods)
