"""Conversion webhooks from end to end: custom resources stored in one version and read in another."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from moorage.api.answers import Answer
from moorage.client.client import Target
from moorage.objects.encoded import Encoded
from moorage.objects.errors import StatusError
from tests.cluster.webhooks.plane import Plane
from tests.cluster.webhooks.server import patching

SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}


def converted(obj: dict[str, Any], api_version: str) -> dict[str, Any]:
    """Return a widget in another version: v1 has a host and a port, v2 an address of both."""
    spec = obj["spec"]
    if api_version.endswith("v2"):
        spec = {"address": f"{spec['host']}:{spec['port']}"}
    else:
        host, _, port = spec["address"].partition(":")
        spec = {"host": host, "port": port}
    return {**obj, "apiVersion": api_version, "spec": spec}


def answer(http: dict[str, Any]) -> dict[str, Any]:
    """Answer a conversion review."""
    made = [converted(obj, http["desiredAPIVersion"]) for obj in http["objects"]]
    return {"convertedObjects": made, "result": {"status": "Success"}}


async def define(plane: Plane, client: dict[str, Any]) -> None:
    """Serve widgets in v1 and v2, stored as v1."""
    subresources = {"status": {}}
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == "v1",
            "schema": {"openAPIV3Schema": SCHEMA},
            "subresources": subresources,
        }
        for name in ("v1", "v2")
    ]
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    names = {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    spec["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    kind = "customresourcedefinitions.apiextensions.k8s.io"
    made = await plane.create(kind, {"metadata": {"name": "widgets.example.com"}, "spec": spec})
    established = {"type": "Established", "status": "True", "reason": "a", "message": "b"}
    conditions = [{**established, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    status = {"acceptedNames": names, "conditions": conditions, "storedVersions": ["v1"]}
    await plane.control.client.update(kind, {**made, "status": status}, subresource="status")


class Widgets:
    """Verbs on widgets in one version."""

    def __init__(self, plane: Plane, version: str) -> None:
        self.api = plane.control.api
        self.row = self.api.resources.find("example.com", version, "widgets")
        self.plane = plane

    def request(self, verb: str, name: str = "", **query: str) -> Any:
        request = self.plane.request(verb, "widgets.example.com", name, **query)
        object.__setattr__(request, "resource", self.row)
        return request

    async def create(self, name: str, **spec: str) -> dict[str, Any]:
        obj = {"apiVersion": self.row.api_version, "kind": "Widget", "metadata": {"name": name}, "spec": spec}
        return shown(await self.api.create(self.request("create"), obj))

    async def get(self, name: str) -> dict[str, Any]:
        return shown(await self.api.get(self.request("get", name)))


def shown(answered: Answer) -> dict[str, Any]:
    body = answered.body
    return dict(orjson.loads(body.raw) if isinstance(body, Encoded) else body)


async def test_an_object_is_read_in_every_version_and_stored_in_one(plane: Plane) -> None:
    await define(plane, plane.server.on("/c", answer))
    old, new = Widgets(plane, "v1"), Widgets(plane, "v2")
    created = await new.create("a", address="h:1")
    assert created["apiVersion"] == "example.com/v2"
    assert created["spec"] == {"address": "h:1"}
    asked = len(plane.server.asked)
    assert (await old.get("a"))["spec"] == {"host": "h", "port": "1"}
    assert len(plane.server.asked) == asked  # v1 is what is stored
    read = await new.get("a")
    assert read["spec"] == {"address": "h:1"}
    assert read["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    assert read["metadata"]["uid"] == created["metadata"]["uid"]


async def test_updates_patches_and_deletions_speak_the_version_of_the_request(plane: Plane) -> None:
    await define(plane, plane.server.on("/c", answer))
    old, new = Widgets(plane, "v1"), Widgets(plane, "v2")
    await old.create("a", host="h", port="1")
    patch = {"spec": {"address": "h:2"}}
    patched = await plane.control.api.patch(new.request("patch", "a"), patch, "application/merge-patch+json")
    assert shown(patched)["spec"] == {"address": "h:2"}
    assert (await old.get("a"))["spec"] == {"host": "h", "port": "2"}
    whole = await new.get("a")
    updated = await plane.control.api.update(new.request("update", "a"), {**whole, "spec": {"address": "i:3"}})
    assert shown(updated)["metadata"]["generation"] == 3
    assert (await old.get("a"))["spec"] == {"host": "i", "port": "3"}
    assert shown(await plane.control.api.delete(new.request("delete", "a"), None))["status"] == "Success"


async def test_lists_and_watches_are_converted_many_at_a_time(plane: Plane) -> None:
    await define(plane, plane.server.on("/c", answer))
    old, new = Widgets(plane, "v1"), Widgets(plane, "v2")
    for number in range(5):
        await old.create(f"w{number}", host="h", port=str(number))
    plane.server.asked.clear()
    page = await plane.control.api.list(new.request("list"))
    assert [item.object["spec"]["address"] for item in page.items] == [f"h:{number}" for number in range(5)]
    assert [len(review["request"]["objects"]) for review in plane.server.asked] == [5]
    async for batch in await plane.control.api.watch(new.request("watch")):
        assert [change.item.object["spec"] for change in batch if change.item] == [
            {"address": f"h:{number}"} for number in range(5)
        ]
        break
    assert len(plane.server.asked) == 1  # what was converted once is known


async def test_what_cannot_be_converted_is_said_in_upstreams_words(plane: Plane) -> None:
    failing = {"result": {"status": "Failure", "message": "no way"}}
    await define(plane, plane.server.on("/c", lambda _: failing))
    await Widgets(plane, "v1").create("a", host="h", port="1")
    with pytest.raises(StatusError) as refusal:
        await Widgets(plane, "v2").get("a")
    assert refusal.value.code == 500
    assert refusal.value.message == "conversion webhook for example.com/v1, Kind=Widget failed: no way"
    plane.server.on("/c", lambda _: web.Response(status=404))
    with pytest.raises(StatusError) as refusal:
        await Widgets(plane, "v2").create("b", address="h:1")
    why = "the server could not find the requested resource"
    assert refusal.value.message == f"conversion webhook for example.com/v2, Kind=Widget failed: {why}"


async def test_a_webhook_may_change_labels_and_nothing_else_of_the_metadata(plane: Plane) -> None:
    def relabel(asked: dict[str, Any]) -> dict[str, Any]:
        answered = answer(asked)
        for obj in answered["convertedObjects"]:
            obj["metadata"] = {**obj["metadata"], "labels": {"a": "b"}, "finalizers": ["x/y"]}
        return answered

    await define(plane, plane.server.on("/c", relabel))
    await Widgets(plane, "v1").create("a", host="h", port="1")
    metadata = (await Widgets(plane, "v2").get("a"))["metadata"]
    assert metadata["labels"] == {"a": "b"}
    assert "finalizers" not in metadata


async def test_our_own_parts_read_the_preferred_version(plane: Plane) -> None:
    await define(plane, plane.server.on("/c", answer))
    await Widgets(plane, "v1").create("a", host="h", port="1")
    read = await plane.control.client.get(Target("widgets.example.com", "n", "a"))
    assert read["apiVersion"] in ("example.com/v1", "example.com/v2")


async def test_an_admission_webhook_sees_the_version_that_its_rule_names(plane: Plane) -> None:
    await define(plane, plane.server.on("/c", answer))

    def move(asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["kind"]["version"] == asked["resource"]["version"] == "v1"
        assert asked["requestKind"]["version"] == asked["requestResource"]["version"] == "v2"
        assert asked["object"]["apiVersion"] == "example.com/v1"
        assert asked["object"]["spec"] == {"host": "h", "port": "1"}
        return patching({"op": "replace", "path": "/spec/port", "value": "9"})

    rules = [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["widgets"]}]
    conditions = [{"name": "has-host", "expression": "has(object.spec.host)"}]
    await plane.hook("mutating", plane.server.on("/m", move), rules=rules, matchConditions=conditions)
    assert (await Widgets(plane, "v2").create("a", address="h:1"))["spec"] == {"address": "h:9"}
