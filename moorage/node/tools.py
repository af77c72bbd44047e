"""What the work on all pods of a node shares."""

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.aio.clock import Clock
from moorage.aio.tasks import Tasks
from moorage.client.client import Client, Target
from moorage.node.containers import NodeFacts
from moorage.node.mounts import Mounts
from moorage.node.prober import Prober
from moorage.node.references import References
from moorage.node.runtimes.runtime import Runtime
from moorage.objects.actions import Record
from moorage.objects.errors import Conflict, NotFound
from moorage.objects.metadata import Object, name_of, namespace_of, uid_of
from moorage.reconciler.events import Recorder


@dataclass(frozen=True, slots=True)
class Tools:
    """One node's. allocatable: "cpu" and "memory" as texts, for the downward API."""

    client: Client
    runtime: Runtime
    mounts: Mounts
    prober: Prober
    references: References
    recorder: Recorder
    clock: Clock
    tasks: Tasks
    facts: NodeFacts
    allocatable: Mapping[str, str]

    def tell(self, pod: Object, kind: str, reason: str, message: str, container: Object | None = None) -> None:
        """Record an Event about a pod, or about one of its containers. kind: "Normal" or "Warning"."""
        path = path_of(pod, container["name"]) if container else ""
        self.recorder.record(Record(pod, reason, message, kind, path=path, host=self.facts.name), "kubelet")

    async def drop(self, pod: Object) -> None:
        """Remove the object of a pod that has ended here; another pod that has its name by now stays."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid_of(pod)}}
        try:
            await self.client.delete(Target("pods", namespace_of(pod), name_of(pod)), options)
        except (NotFound, Conflict):
            return  # somebody else removed it


def path_of(pod: Object, name: str) -> str:
    """Return how an Event names a container of a pod."""
    for part in ("initContainers", "containers", "ephemeralContainers"):
        if any(each["name"] == name for each in pod["spec"].get(part) or ()):
            return f"spec.{part}{{{name}}}"
    return ""
