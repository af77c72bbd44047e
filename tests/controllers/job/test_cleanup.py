"""What Jobs leave behind."""

from datetime import UTC, datetime, timedelta

from moorage.controllers.job.cleanup import ORPHAN_CONTROLLER, RESOURCE, TTL_CONTROLLER
from moorage.objects.metadata import Ref, format_time
from moorage.objects.pods import JOB_FINALIZER
from tests.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORK = Ref(RESOURCE, "default", "work")
POD = Ref("pods", "default", "p")


def scene(*, over: bool) -> World:
    """Return a world with a Job that may stay for a minute once it is over, and a pod of it that nobody counted."""
    world = World(NOW)
    metadata = {"name": "work", "namespace": "default"}
    job = world.create(RESOURCE, {"metadata": metadata, "spec": {"ttlSecondsAfterFinished": 60}})
    if over:
        condition = {"type": "Complete", "status": "True", "lastTransitionTime": format_time(NOW)}
        world.set_status(RESOURCE, "work", conditions=[condition])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "work", "uid": job["metadata"]["uid"], "controller": True}
    pod = {"name": "p", "namespace": "default", "finalizers": [JOB_FINALIZER], "ownerReferences": [owner]}
    world.create("pods", {"metadata": pod, "spec": {}})
    return world


def test_a_job_goes_once_it_has_been_over_for_long_enough() -> None:
    world = scene(over=True)
    assert world.run(TTL_CONTROLLER, WORK).look_again_in == 60
    world.now += timedelta(seconds=60)
    world.run(TTL_CONTROLLER, WORK)
    job = world.get(RESOURCE, "default", "work") or {}
    assert job["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_job_that_is_not_over_stays() -> None:
    assert TTL_CONTROLLER.observe(scene(over=False), WORK) is None


def test_a_pod_of_a_running_job_waits_to_be_counted() -> None:
    world = scene(over=False)
    assert list(ORPHAN_CONTROLLER.wakes["pods"](world, world.pods()["p"])) == []


def test_a_pod_of_a_job_that_is_over_is_let_go() -> None:
    world = scene(over=True)
    assert list(ORPHAN_CONTROLLER.wakes["pods"](world, world.pods()["p"])) == [POD]
    assert list(ORPHAN_CONTROLLER.wakes[RESOURCE](world, world.get(RESOURCE, "default", "work") or {})) == [POD]
    world.run(ORPHAN_CONTROLLER, POD)
    assert not world.pods()["p"]["metadata"].get("finalizers")
