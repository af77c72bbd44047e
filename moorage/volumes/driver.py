"""The Driver Protocol: who makes and removes volumes. tests/contracts/driver.py is the suite that each one passes.

All verbs are safe to repeat: a crash at any step is answered by calling again. Data is removed by `delete` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from moorage.objects.metadata import Object


class DriverError(Exception):
    """The driver could not do it. `temporary` tells whether trying again may help."""

    def __init__(self, message: str, *, temporary: bool = True) -> None:
        super().__init__(message)
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    """What a claim asks for. `name` is the volume's name (pvc-<uid>) and its identity; `node` is "" if any will do."""

    name: str
    size_bytes: int
    access_modes: tuple[str, ...]
    parameters: Mapping[str, str]
    node: str = ""


class Driver(Protocol):
    """Makes, publishes and deletes volumes of one provisioner."""

    #: The provisioner's name, as StorageClass.provisioner says it.
    name: str

    async def create(self, request: VolumeRequest) -> Object:
        """Make the volume (or find it made) and return the `spec` part of its PersistentVolume: source, affinity, capacity."""

    async def delete(self, volume: Object) -> None:
        """Remove the data of this PersistentVolume. Done already is fine; anything that is not ours is refused."""

    async def publish(self, volume: Object, node: str) -> str:
        """Return the directory on this machine that holds the volume's data, for a pod on `node`. Raises DriverError."""
