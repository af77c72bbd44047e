"""Definitions that are established are served; objects of yesterday are read by today's schema."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from moorage.api.answers import WatchChange
from moorage.api.api import Api
from moorage.api.custom_resources.publication import version_rank
from moorage.objects.errors import BadRequest, Invalid, MethodNotAllowed, UnsupportedMediaType
from tests.api.world import World, shown

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
WIDGETS = "widgets.example.com"
SPEC = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 9}, "gone": {"type": "string"}}}


def version(name: str = "v1", spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec or SPEC, "status": {"type": "object"}}}
    row = {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
    return {**row, **more}


def definition(*versions: dict[str, Any]) -> dict[str, Any]:
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": list(versions)}
    return {"metadata": {"name": WIDGETS}, "spec": spec}


def widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


async def establish(world: World, *versions: dict[str, Any]) -> None:
    made = await world.create(DEFINITIONS, definition(*versions))
    conditions = [{"type": "Established", "status": "True"}]
    status = {**made["status"], "acceptedNames": made["spec"]["names"], "conditions": conditions}
    await world.update(f"{DEFINITIONS}/status", {**made, "status": status})


async def first_of(stream: AsyncIterator[Sequence[WatchChange]]) -> list[str]:
    """Return the kinds of the first changes, none if the stream ends before."""
    async for batch in stream:
        return [change.kind for change in batch]
    return []


async def test_only_what_is_established_is_served(world: World) -> None:
    await world.create(DEFINITIONS, definition(version()))
    assert world.api.resources.by_id(WIDGETS) is None


async def test_custom_resources_are_pruned_judged_and_merged(world: World) -> None:
    await establish(world, version())
    made = await world.create(WIDGETS, widget(a=1, zz=1))
    assert made["spec"] == {"a": 1}
    assert world.warnings == ['unknown field "spec.zz"']
    with pytest.raises(Invalid):
        await world.patch(WIDGETS, "w", {"spec": {"a": 10}})
    with pytest.raises(UnsupportedMediaType):
        await world.patch(WIDGETS, "w", {"spec": {"a": 2}}, "strategic")
    with pytest.raises(BadRequest):
        await world.create(WIDGETS, {**widget(), "apiVersion": "example.com/v2"})
    assert (await world.patch(WIDGETS, "w", {"spec": {"a": 2}}))["metadata"]["generation"] == 2


async def test_a_status_of_its_own_is_only_written_there(world: World) -> None:
    keeps = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    with_status = version(subresources={"status": {}})
    with_status["schema"]["openAPIV3Schema"]["properties"]["status"] = keeps
    await establish(world, with_status)
    made = await world.create(WIDGETS, {**widget(a=1), "status": {"n": 1}})
    assert "status" not in made
    changed = await world.patch(f"{WIDGETS}/status", "w", {"spec": {"a": 5}, "status": {"n": 2}})
    assert (changed["spec"], changed["status"]) == ({"a": 1}, {"n": 2})


async def test_objects_of_yesterday_are_read_by_the_schema_of_today(world: World) -> None:
    await establish(world, version())
    await world.create(WIDGETS, widget(a=1, gone="x"))
    later = {"type": "object", "properties": {"a": {"type": "integer"}, "new": {"type": "string", "default": "d"}}}
    await world.patch(DEFINITIONS, WIDGETS, {"spec": {"versions": [version(spec=later)]}})
    assert (await world.get(WIDGETS, "w"))["spec"] == {"a": 1, "new": "d"}
    again = Api(world.store, world.api.clock, None, None)  # type: ignore[arg-type]
    await again.load()
    assert again.resources.by_id(WIDGETS) is not None


async def test_a_definition_that_goes_takes_no_new_objects(world: World) -> None:
    await establish(world, version())
    request = world.request("delete", DEFINITIONS, WIDGETS, None, {})
    going = shown(await world.api.delete(request, None))
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    with pytest.raises(MethodNotAllowed):
        await world.create(WIDGETS, widget(a=1))


async def test_clients_stop_watching_what_is_not_served_any_more(world: World) -> None:
    await establish(world, version())
    request = world.request("watch", WIDGETS, "", None, {})
    ours, theirs = await world.api.watch(request, outlives=True), await world.api.watch(request)
    waiting = asyncio.gather(*(first_of(stream) for stream in (ours, theirs)))
    await asyncio.sleep(0)
    status = {"conditions": [{"type": "Established", "status": "False"}]}
    await world.patch(f"{DEFINITIONS}/status", WIDGETS, {"status": status})
    assert world.api.resources.by_id(WIDGETS) is None
    status = {"conditions": [{"type": "Established", "status": "True"}]}
    await world.patch(f"{DEFINITIONS}/status", WIDGETS, {"status": status})
    await world.create(WIDGETS, widget(a=1))
    assert await waiting == [["ADDED"], []]


async def test_the_storage_version_may_change(world: World) -> None:
    await establish(world, version(), version("v2"))
    await world.create(WIDGETS, {**widget(a=1), "apiVersion": "example.com/v2"})
    old, new = version(storage=False), version("v2", storage=True)
    changed = await world.patch(DEFINITIONS, WIDGETS, {"spec": {"versions": [old, new]}})
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    assert (await world.get(WIDGETS, "w"))["apiVersion"] == "example.com/v2"
    held = await world.patch(WIDGETS, "w", {"metadata": {"finalizers": ["a.b/c"]}})
    assert held["apiVersion"] == "example.com/v2"
    going = shown(await world.api.delete(world.request("delete", WIDGETS, "w", None, {}), None))
    assert (going["apiVersion"], going["metadata"]["finalizers"]) == ("example.com/v2", ["a.b/c"])
    with pytest.raises(Invalid, match=r"must remain in spec\.versions"):
        await world.patch(DEFINITIONS, WIDGETS, {"spec": {"versions": [new]}})


async def test_rules_in_cel_are_asked_of_new_and_of_old(world: World) -> None:
    rule = {"rule": "self.a >= oldSelf.a", "message": "a may not shrink"}
    await establish(world, version(spec={**SPEC, "x-kubernetes-validations": [rule]}))
    await world.create(WIDGETS, widget(a=3))
    with pytest.raises(Invalid, match="spec: Invalid value: a may not shrink"):
        await world.patch(WIDGETS, "w", {"spec": {"a": 2}})
    assert (await world.patch(WIDGETS, "w", {"spec": {"a": 4}}))["spec"] == {"a": 4}


async def test_a_webhook_may_convert_between_versions(world: World) -> None:
    hook = {"clientConfig": {"url": "https://a.b/c"}, "conversionReviewVersions": ["v1"]}
    wanted = definition(version(), version("v2"))
    wanted["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
    made = await world.create(DEFINITIONS, wanted)
    assert made["spec"]["conversion"]["webhook"] == hook


def test_versions_come_in_the_order_of_kubernetes() -> None:
    names = ["foo", "v1", "v10", "v2alpha1", "v2", "v1beta1", "v1beta2"]
    assert sorted(names, key=version_rank) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v2alpha1", "foo"]
