"""The driver of local directories."""

import os
import stat
from pathlib import Path

import pytest

from moorage.volumes.driver import Driver, DriverError
from moorage.volumes.local import LocalDriver
from tests.contracts.driver import DriverContract, request, volume


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "volumes"


@pytest.fixture
def driver(root: Path) -> Driver:
    made = LocalDriver(root)
    made.start()
    return made


class TestLocalDriver(DriverContract):
    async def test_any_user_may_write_the_data_and_only_we_see_the_rest(self, driver: Driver, root: Path) -> None:
        spec = await driver.create(request())
        data = Path(await driver.publish(volume("pvc-1", spec), "node-0"))
        assert stat.S_IMODE(data.stat().st_mode) == 0o777
        assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(root.stat().st_mode) == 0o700

    async def test_data_survives_making_the_volume_again(self, driver: Driver) -> None:
        made = volume("pvc-1", await driver.create(request()))
        place = Path(await driver.publish(made, "node-0"))
        (place / "file").write_text("precious")
        await driver.create(request())
        assert (place / "file").read_text() == "precious"

    async def test_deleting_removes_the_data_whatever_its_modes(self, driver: Driver, root: Path) -> None:
        made = volume("pvc-1", await driver.create(request()))
        place = Path(await driver.publish(made, "node-0"))
        (place / "closed").mkdir()
        (place / "closed" / "file").write_text("x")
        (place / "closed").chmod(0o000)
        await driver.delete(made)
        assert [entry.name for entry in root.iterdir()] == [".trash"]
        assert not list((root / ".trash").iterdir())

    async def test_deleting_follows_no_symbolic_link(self, driver: Driver, root: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_text("precious")
        made = volume("pvc-1", await driver.create(request()))
        place = Path(await driver.publish(made, "node-0"))
        (place / "link").symlink_to(outside)
        await driver.delete(made)
        assert (outside / "file").read_text() == "precious"

    async def test_a_link_in_the_place_of_a_volume_is_refused(self, driver: Driver, root: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        (outside / "data").mkdir(parents=True)
        (root / "pvc-1").symlink_to(outside)
        with pytest.raises(DriverError):
            await driver.create(request())
        made = volume("pvc-1", {"local": {"path": str(root / "pvc-1" / "data")}})
        with pytest.raises(DriverError):
            await driver.publish(made, "node-0")
        await driver.delete(made)
        assert (outside / "data").is_dir()

    async def test_a_start_finishes_what_a_crash_left(self, root: Path) -> None:
        (root / ".new-pvc-1" / "data").mkdir(parents=True)
        (root / ".trash" / "pvc-2.0" / "data").mkdir(parents=True)
        driver = LocalDriver(root)
        driver.start()
        assert sorted(entry.name for entry in root.iterdir()) == [".trash"]
        assert not list((root / ".trash").iterdir())
        await driver.create(request())
        assert os.listdir(root / "pvc-1") == ["data"]

    async def test_what_cannot_be_removed_is_told_and_tried_again(self, root: Path) -> None:
        refusals = [PermissionError(1, "not permitted")]

        def remove(path: Path) -> None:
            if refusals:
                raise refusals.pop()
            (path / "data").rmdir()
            path.rmdir()

        driver = LocalDriver(root, remove)
        driver.start()
        made = volume("pvc-1", await driver.create(request()))
        with pytest.raises(DriverError, match="trash"):
            await driver.delete(made)
        await driver.delete(made)
        assert not list((root / ".trash").iterdir())
