"""Volumes that are names in memory, for simulations: what was made, what holds data, what was deleted."""

from typing import Any, Final

from moorage.objects.metadata import Object, name_of
from moorage.objects.nodes import HOSTNAME
from moorage.objects.volumes import spec_of
from moorage.volumes.driver import DriverError, VolumeRequest

NAME: Final = "moorage.dev/local"
_PREFIX: Final = "/simulated/"


class SimulatedDriver:
    """Remembers volumes. `failures` are raised, first in first out, by the next calls of `create`."""

    name = NAME

    def __init__(self) -> None:
        #: The content of each volume: whatever a simulated pod wrote, by name of the volume.
        self.volumes: dict[str, dict[str, str]] = {}
        self.deleted: list[str] = []
        self.failures: list[DriverError] = []

    async def create(self, request: VolumeRequest) -> Object:
        """Make the volume, or find it made."""
        if not request.name or "/" in request.name or request.name.startswith("."):
            raise DriverError(f"{request.name!r} cannot be the name of a volume", temporary=False)
        if self.failures:
            raise self.failures.pop(0)
        self.volumes.setdefault(request.name, {})
        spec: dict[str, Any] = {"capacity": {"storage": str(request.size_bytes)}}
        source = {"path": f"{_PREFIX}{request.name}"}
        if not request.node:
            return {**spec, "hostPath": source}
        expression = {"key": HOSTNAME, "operator": "In", "values": [request.node]}
        affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
        return {**spec, "local": source, "nodeAffinity": affinity}

    async def delete(self, volume: Object) -> None:
        """Forget the volume."""
        self._check(volume)
        if self.volumes.pop(name_of(volume), None) is not None:
            self.deleted.append(name_of(volume))

    async def publish(self, volume: Object, node: str) -> str:
        """Return the name under which the content is kept."""
        self._check(volume)
        if name_of(volume) not in self.volumes:
            raise DriverError(f"volume {name_of(volume)} is gone", temporary=False)
        return f"{_PREFIX}{name_of(volume)}"

    def _check(self, volume: Object) -> None:
        source = spec_of(volume).get("local") or spec_of(volume).get("hostPath") or {}
        if source.get("path") != f"{_PREFIX}{name_of(volume)}":
            raise DriverError(f"volume {name_of(volume)} was not made here", temporary=False)
