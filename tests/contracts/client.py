"""The suite that every client.client.Client passes: a test file subclasses ClientContract and gives it a `client`.

The client must be allowed to do everything in namespace `default`, which must exist. Objects are made with names of
their own for each test, so that one server may serve the whole suite.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from moorage.client.client import Change, Client, Selection, Target
from moorage.objects.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound

DEADLINE_SECONDS = 5
CONFIGS = "configmaps"


def config(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default"}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def target(name: str, resource: str = CONFIGS, subresource: str = "") -> Target:
    return Target(resource, "default", name, subresource)


async def collect(changes: AsyncIterator[Sequence[Change]], count: int) -> list[Change]:
    """Return the first changes that are no bookmarks."""
    found: list[Change] = []
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(changes):  # type: ignore[type-var]
        while len(found) < count:
            found += [change for change in await anext(changes) if change.kind != "BOOKMARK"]
    return found


class ClientContract:
    """What the Client Protocol promises, one sentence a test."""

    @pytest.fixture
    async def client(self) -> Client:
        raise NotImplementedError

    async def test_what_was_created_is_read_back(self, client):
        made = await client.create(CONFIGS, config("created", k="1"))
        assert made["metadata"]["uid"]
        assert int(made["metadata"]["resourceVersion"]) > 0
        assert await client.get(target("created")) == made
        assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"k": "1"})

    async def test_what_does_not_exist_is_not_found(self, client):
        for refused in (
            client.get(target("nothing")),
            client.delete(target("nothing")),
            client.patch(target("nothing"), {"data": {}}),
            client.update(CONFIGS, config("nothing")),
        ):
            with pytest.raises(NotFound) as refusal:
                await refused
            assert refusal.value.message == 'configmaps "nothing" not found'
            assert refusal.value.details == {"name": "nothing", "kind": "configmaps"}

    async def test_a_name_that_is_taken_already_exists(self, client):
        await client.create(CONFIGS, config("taken"))
        with pytest.raises(AlreadyExists):
            await client.create(CONFIGS, config("taken"))

    async def test_what_breaks_rules_is_invalid_and_says_where(self, client):
        with pytest.raises(Invalid) as refusal:
            await client.create(CONFIGS, config("Bad_Name"))
        assert [cause.field for cause in refusal.value.causes] == ["metadata.name"]

    async def test_a_bad_selector_is_a_bad_request(self, client):
        with pytest.raises(BadRequest):
            await client.list(CONFIGS, Selection("default", labels="a=~b"))

    async def test_a_list_is_in_order_and_not_older_than_any_write(self, client):
        for name in ("order-b", "order-c", "order-a"):
            made = await client.create(CONFIGS, config(name, {"suite": "order"}))
        listing = await client.list(CONFIGS, Selection("default", "suite=order"))
        assert [item.name for item in listing.items] == ["order-a", "order-b", "order-c"]
        assert listing.revision >= int(made["metadata"]["resourceVersion"])
        assert listing.items[0].object == made
        assert listing.items[0].uid == made["metadata"]["uid"]
        assert listing.items[0].labels == {"suite": "order"}

    async def test_a_list_is_selected_by_namespace_and_field(self, client):
        await client.create(CONFIGS, config("field", {"suite": "field"}))
        await client.create(CONFIGS, config("field-2", {"suite": "field"}))
        listing = await client.list(CONFIGS, Selection("", "suite=field", "metadata.name=field"))
        assert [item.name for item in listing.items] == ["field"]
        assert listing.items[0].fields["metadata.name"] == "field"
        assert not (await client.list(CONFIGS, Selection("kube-system", "suite=field"))).items

    async def test_an_update_of_an_outdated_state_conflicts(self, client):
        old = await client.create(CONFIGS, config("stale"))
        new = await client.update(CONFIGS, {**old, "data": {"k": "1"}})
        assert new["data"] == {"k": "1"}
        with pytest.raises(Conflict):
            await client.update(CONFIGS, {**old, "data": {"k": "2"}})

    async def test_patches_change_what_they_name(self, client):
        await client.create(CONFIGS, config("patched", a="1", b="1"))
        merged = await client.patch(target("patched"), {"data": {"a": None, "b": "2"}}, manager="me")
        assert merged["data"] == {"b": "2"}
        assert [entry["manager"] for entry in merged["metadata"]["managedFields"]].count("me") == 1
        operations = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "add", "path": "/data/c", "value": "3"}]
        changed = await client.patch(target("patched"), operations, content_type="application/json-patch+json")
        assert changed["data"] == {"b": "2", "c": "3"}

    async def test_applying_creates_what_is_missing(self, client):
        applied = await client.patch(
            target("applied"),
            config("applied", k="1"),
            content_type="application/apply-patch+yaml",
            manager="suite",
        )
        assert applied["data"] == {"k": "1"}
        assert applied["metadata"]["managedFields"][0]["operation"] == "Apply"

    async def test_a_deletion_may_have_preconditions(self, client):
        made = await client.create(CONFIGS, config("gone"))
        with pytest.raises(Conflict):
            await client.delete(target("gone"), {"preconditions": {"uid": "somebody-else"}})
        await client.delete(target("gone"), {"preconditions": {"uid": made["metadata"]["uid"]}})
        with pytest.raises(NotFound):
            await client.get(target("gone"))

    async def test_a_collection_is_deleted_by_selector(self, client):
        for name in ("all-1", "all-2"):
            await client.create(CONFIGS, config(name, {"suite": "all"}))
        await client.create(CONFIGS, config("all-3", {"suite": "other"}))
        await client.delete_collection(CONFIGS, Selection("default", "suite=all"))
        left = await client.list(CONFIGS, Selection("default", "suite in (all, other)"))
        assert [item.name for item in left.items] == ["all-3"]

    async def test_a_watch_tells_every_change_once_and_in_order(self, client):
        revision = (await client.list(CONFIGS)).revision
        selection = Selection("default", fields="metadata.name=watched")
        made = await client.create(CONFIGS, config("watched"))
        changed = await client.patch(target("watched"), {"data": {"k": "1"}})
        await client.delete(target("watched"))
        found = await collect(client.watch(CONFIGS, revision, selection), 3)
        assert [change.kind for change in found] == ["ADDED", "MODIFIED", "DELETED"]
        revisions = [change.revision for change in found]
        assert revisions[:2] == [int(each["metadata"]["resourceVersion"]) for each in (made, changed)]
        assert revisions == sorted(set(revisions))
        assert found[1].item.object == changed
        assert found[2].item.name == "watched"

    async def test_a_watch_goes_on_from_any_change(self, client):
        revision = (await client.list(CONFIGS)).revision
        selection = Selection("default", "suite=resume")
        for name in ("resume-1", "resume-2", "resume-3"):
            await client.create(CONFIGS, config(name, {"suite": "resume"}))
        first = await collect(client.watch(CONFIGS, revision, selection), 1)
        rest = await collect(client.watch(CONFIGS, first[-1].revision, selection), 3 - len(first))
        assert [change.item.name for change in (*first, *rest)] == ["resume-1", "resume-2", "resume-3"]

    async def test_a_watch_waits_for_what_comes(self, client):
        revision = (await client.list(CONFIGS)).revision
        selection = Selection("default", "suite=later")
        watching = asyncio.ensure_future(collect(client.watch(CONFIGS, revision, selection), 1))
        await asyncio.sleep(0)
        await client.create(CONFIGS, config("later", {"suite": "later"}))
        assert [change.item.name for change in await watching] == ["later"]

    async def test_an_object_that_leaves_the_selection_is_told_as_deleted(self, client):
        made = await client.create(CONFIGS, config("leaves", {"suite": "leaves"}))
        await client.patch(target("leaves"), {"metadata": {"labels": {"suite": "left"}}})
        revision = int(made["metadata"]["resourceVersion"])
        found = await collect(client.watch(CONFIGS, revision, Selection("default", "suite=leaves")), 1)
        assert [(change.kind, change.item.name) for change in found] == [("DELETED", "leaves")]

    async def test_a_status_is_written_apart_from_the_rest(self, client):
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "status", "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        claims = "persistentvolumeclaims"
        made = await client.create(claims, claim)
        changed = {**made, "status": {"phase": "Lost"}, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
        updated = await client.update(claims, changed, subresource="status")
        assert updated["status"]["phase"] == "Lost"
        patched = await client.patch(target("status", claims, "status"), {"status": {"phase": "Bound"}})
        assert patched["status"]["phase"] == "Bound"
        assert (await client.get(target("status", claims, "status")))["spec"] == made["spec"]

    async def test_cluster_scoped_objects_have_no_namespace(self, client):
        made = await client.create("namespaces", {"metadata": {"name": "suite"}})
        assert (made["kind"], made["metadata"].get("namespace")) == ("Namespace", None)
        assert (await client.get(Target("namespaces", "", "suite")))["metadata"]["uid"] == made["metadata"]["uid"]

    async def test_a_subresource_of_an_object_is_created_by_its_name(self, client):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "bound", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        }
        await client.create("pods", pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "bound", "namespace": "default"},
            "target": {"kind": "Node", "name": "somewhere"},
        }
        await client.create("pods", binding, subresource="binding")
        assert (await client.get(target("bound", "pods")))["spec"]["nodeName"] == "somewhere"

    async def test_a_resource_that_is_not_served_is_not_found(self, client):
        with pytest.raises(NotFound):
            await client.list("nothings.example.com")

    async def test_the_revision_is_not_older_than_any_write(self, client):
        made = await client.create(CONFIGS, config("revision"))
        assert await client.revision() >= int(made["metadata"]["resourceVersion"])
