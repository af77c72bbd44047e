"""Where nothing is wrong, that is the answer, with what the object is now."""

from typing import Any, Final

from moorage.objects.kinds import group_versions, resources_in
from moorage.objects.metadata import name_of
from moorage.testing import builders
from tests.why.failing import Failing, live

JOB: Final[dict[str, Any]] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "once", "namespace": "default"},
    "spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "example.com/done:1"}]}}
    },
}
SERVICE: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def test_what_is_well_is_told_with_what_it_is_now() -> None:
    async def be_well(f: Failing) -> None:
        await f.make("deployments.apps", builders.deployment("web", "default", 2))
        answer = await f.until("deployments.apps", "web", "has 2 of 2 pods ready: nothing is wrong with it.")
        assert not answer.is_wrong
        assert len(answer.lines()) == 1
        running = (await f.cluster.client.list("pods")).items[0].object
        told = (await f.why("pods", name_of(running))).lines()
        assert told == [
            f"Pod default/{name_of(running)} is Running and ready on {running['spec']['nodeName']}, "
            f"for ReplicaSet {running['metadata']['ownerReferences'][0]['name']}: nothing is wrong with it."
        ]

    live(be_well)


def test_nothing_is_wrong_with_anything_in_a_cluster_at_rest() -> None:
    async def rest(f: Failing) -> None:
        await f.make("deployments.apps", builders.deployment("web", "default", 2))
        await f.make("statefulsets.apps", builders.stateful_set("berths", "default", 2, claims=("data",)))
        await f.make("jobs.batch", JOB)
        await f.make("services", SERVICE)
        for resource, name in (("deployments.apps", "web"), ("statefulsets.apps", "berths"), ("services", "web")):
            await f.until(resource, name, "nothing is wrong")
        await f.until("jobs.batch", "once", "is complete: 1 pod succeeded")
        listed = {row.id for each in group_versions() for row in resources_in(each).values() if "list" in row.verbs}
        found = [(each, item) for each in sorted(listed) for item in (await f.cluster.client.list(each)).items]
        answers = [await f.why(resource, item.name, item.namespace) for resource, item in found]
        assert len(answers) > 100
        assert [answer.lines() for answer in answers if answer.is_wrong] == []

    live(rest)
