"""What every volume driver must do: a class of tests to inherit from, with a fixture `driver`."""

from typing import Any

import pytest

from moorage.objects.metadata import Object
from moorage.volumes.driver import Driver, DriverError, VolumeRequest


def request(name: str = "pvc-1", node: str = "node-0") -> VolumeRequest:
    return VolumeRequest(name, 1 << 30, ("ReadWriteOnce",), {}, node)


def volume(name: str, spec: Object) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


class DriverContract:
    """Inherit, and give a fixture `driver`."""

    async def test_a_volume_is_tied_to_the_node_that_was_asked_for(self, driver: Driver) -> None:
        spec = await driver.create(request())
        term = spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
        assert term == {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-0"]}
        assert spec["capacity"]["storage"] == str(1 << 30)

    async def test_a_volume_for_any_node_has_no_affinity(self, driver: Driver) -> None:
        assert "nodeAffinity" not in await driver.create(request(node=""))

    async def test_making_a_volume_twice_gives_the_same(self, driver: Driver) -> None:
        assert await driver.create(request()) == await driver.create(request())

    async def test_volumes_of_different_names_lie_apart(self, driver: Driver) -> None:
        places = [
            await driver.publish(volume(name, await driver.create(request(name))), "node-0") for name in ("a", "b")
        ]
        assert len(set(places)) == 2

    async def test_a_deleted_volume_cannot_be_published(self, driver: Driver) -> None:
        made = volume("pvc-1", await driver.create(request()))
        await driver.delete(made)
        with pytest.raises(DriverError):
            await driver.publish(made, "node-0")

    async def test_deleting_twice_is_fine(self, driver: Driver) -> None:
        made = volume("pvc-1", await driver.create(request()))
        await driver.delete(made)
        await driver.delete(made)

    async def test_a_volume_can_be_made_again_after_its_end(self, driver: Driver) -> None:
        made = volume("pvc-1", await driver.create(request()))
        await driver.delete(made)
        await driver.publish(volume("pvc-1", await driver.create(request())), "node-0")

    @pytest.mark.parametrize("path", ["/etc", "/", "", "../pvc-1/data"])
    async def test_what_is_not_ours_is_never_deleted(self, driver: Driver, path: str) -> None:
        await driver.create(request())
        with pytest.raises(DriverError):
            await driver.delete(volume("pvc-1", {"local": {"path": path}}))

    @pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".trash"])
    async def test_names_that_leave_the_root_are_refused(self, driver: Driver, name: str) -> None:
        with pytest.raises(DriverError):
            await driver.create(request(name))
