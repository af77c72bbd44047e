"""Tests of creating and updating: rules that hold for every kind."""

from dataclasses import replace

import pytest

from moorage.api.write import _keep_hidden
from moorage.objects.errors import Conflict, Forbidden, Invalid
from moorage.objects.managed_fields import Hidden
from tests.api.world import NOW, World

CONFIG = {"metadata": {"name": "a"}, "data": {"k": "1"}}
LEASE = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}


async def refuse(verb):
    raise Forbidden(f"no {verb}")


async def test_an_empty_list_of_owners_forgets_them(world: World):
    created = await world.create("configmaps", CONFIG, fieldManager="m")
    assert created["metadata"]["managedFields"][0]["manager"] == "m"
    changed = await world.patch("configmaps", "a", {"metadata": {"managedFields": []}, "data": {"z": "1"}})
    assert "managedFields" not in changed["metadata"]
    assert changed["data"] == {"k": "1", "z": "1"}


async def test_what_a_name_was_generated_to_is_judged(world: World):
    with pytest.raises(Invalid) as refusal:
        await world.create("configmaps", {"metadata": {"generateName": "G-"}})
    assert [cause.field for cause in refusal.value.causes] == ["metadata.name"]
    made = await world.create("configmaps", {"metadata": {"generateName": "g-"}})
    assert made["metadata"]["name"].startswith("g-")


async def test_a_generation_that_the_client_gives_is_not_negative(world: World):
    with pytest.raises(Invalid) as refusal:
        await world.create("configmaps", {"metadata": {"name": "a", "generation": -1}})
    assert [cause.field for cause in refusal.value.causes] == ["metadata.generation"]


async def test_creating_by_an_update_needs_the_right_to_create(world: World):
    request = world.request("update", "leases.coordination.k8s.io", "l", None, {})
    with pytest.raises(Forbidden):
        await world.api.update(replace(request, also=refuse), {**LEASE})
    assert (await world.update("leases.coordination.k8s.io", LEASE))["metadata"]["name"] == "l"


async def test_creating_by_an_apply_needs_the_right_to_create(world: World):
    applied = {"apiVersion": "v1", "kind": "ConfigMap", **CONFIG}
    request = world.request("patch", "configmaps", "a", None, {"fieldManager": "m"})
    with pytest.raises(Forbidden):
        await world.api.patch(replace(request, also=refuse), applied, "application/apply-patch+yaml")
    assert (await world.patch("configmaps", "a", applied, "apply", fieldManager="m"))["data"] == {"k": "1"}


async def test_another_uid_is_told_with_the_key_of_upstreams_store(world: World):
    await world.create("services", {"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}})
    service = await world.get("services", "s")
    with pytest.raises(Conflict) as refusal:
        await world.update("services", {**service, "metadata": {**service["metadata"], "uid": "x"}})
    assert "Key: /registry/services/specs/ns/s" in refusal.value.message


async def test_jobs_take_the_labels_of_their_template_when_they_are_right(world: World):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "nginx"}]}}
    job = await world.create("jobs.batch", {"metadata": {"name": "j"}, "spec": {"template": template}})
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["creationTimestamp"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(Invalid) as refusal:
        await world.create("jobs.batch", {"metadata": {"name": "a" * 64}, "spec": {"template": template}})
    assert [cause.field for cause in refusal.value.causes] == ["spec.template.labels"]


def test_metadata_that_a_status_endpoint_keeps_stands_in_the_order_of_the_objects():
    old = {"name": "a", **{f"f{number}": "old" for number in range(20)}}
    metadata = {"resourceVersion": "1", **dict.fromkeys(old, "new"), "extra": "new"}
    _keep_hidden(metadata, old, Hidden(frozenset({"metadata"}), frozenset()), everything=False)
    assert list(metadata.items()) == [("resourceVersion", "1"), *old.items()]
