import json
from dataclasses import replace

from moorage.api.discovery import AGGREGATED, Discovery, RemoteVersion, version_info
from moorage.api.resources import Resources
from moorage.objects.kinds import Resource, Subresource

WIDGETS = Resource(
    group="example.com",
    version="v1",
    plural="widgets",
    kind="Widget",
    singular="widget",
    namespaced=True,
    verbs=("get", "list"),
    short_names=("wd",),
    storage_version="v1",
    subresources={"status": Subresource("status", "Widget", ("get",))},
    custom=True,
)


def discovery() -> tuple[Discovery, Resources]:
    resources = Resources()
    return Discovery(resources.all, lambda: resources.revision), resources


def test_the_core_group_is_listed_by_version_alone() -> None:
    body = json.loads(discovery()[0].api("127.0.0.1:6443").body)
    assert body["versions"] == ["v1"]
    assert body["serverAddressByClientCIDRs"] == [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]


def test_groups_are_listed_in_the_order_of_upstream_with_the_preferred_version_first() -> None:
    groups = json.loads(discovery()[0].apis().body)["groups"]
    assert [group["name"] for group in groups[:2]] == ["apiregistration.k8s.io", "apps"]
    autoscaling = next(group for group in groups if group["name"] == "autoscaling")
    assert autoscaling["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}


def test_subresources_of_foreign_kinds_say_their_group() -> None:
    document = discovery()[0].resources("v1")
    assert document is not None
    rows = {row["name"]: row for row in json.loads(document.body)["resources"]}
    assert rows["pods/eviction"]["group"] == "policy"
    assert rows["pods"]["shortNames"] == ["po"]
    assert "group" not in rows["pods/log"]


def test_what_is_not_served_has_no_document() -> None:
    found = discovery()[0]
    assert found.resources("apps/v1beta1") is None
    assert found.group("foo") is None


def test_both_forms_name_the_same_resources() -> None:
    found = discovery()[0]
    for core in (True, False):
        for group in json.loads(found.aggregated(core=core).body)["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                document = found.resources(f"{name}/{version['version']}" if name else version["version"])
                assert document is not None
                listed = {row["name"] for row in json.loads(document.body)["resources"]}
                subs = {
                    f"{row['resource']}/{sub['subresource']}"
                    for row in version["resources"]
                    for sub in row.get("subresources", [])
                }
                assert listed == {row["resource"] for row in version["resources"]} | subs


def test_custom_resources_come_after_the_others_and_change_the_etag() -> None:
    found, resources = discovery()
    before = found.aggregated(core=False)
    resources.replace_custom([WIDGETS])
    after = found.aggregated(core=False)
    assert after.etag != before.etag
    last = json.loads(after.body)["items"][-1]
    assert last["metadata"]["name"] == "example.com"
    assert last["versions"][0]["resources"][0]["responseKind"] == {
        "group": "example.com",
        "version": "v1",
        "kind": "Widget",
    }
    assert json.loads(found.apis().body)["groups"][-1]["name"] == "example.com"


def test_documents_are_built_once() -> None:
    found = discovery()[0]
    assert found.apis() is found.apis()


def test_the_version_is_the_one_whose_behaviour_this_is() -> None:
    info = version_info()
    assert (info["major"], info["minor"]) == ("1", "37")
    assert info["gitVersion"].startswith("v1.37.2+moorage")


def test_the_media_type_is_the_one_that_clients_compare() -> None:
    assert AGGREGATED == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_a_remote_group_stands_where_its_priority_puts_it() -> None:
    resources, plain = Resources(), discovery()[0]
    resources.replace_custom([WIDGETS])
    document = {"version": "v1", "resources": [], "freshness": "Stale"}
    remote = [
        RemoteVersion(name, "v1", (most, 1), document) for name, most in (("low", 1), ("high", 17750), ("b", 2000))
    ]
    found = Discovery(resources.all, lambda: resources.revision, lambda: remote)
    names = [group["name"] for group in json.loads(found.apis().body)["groups"]]
    before = [group["name"] for group in json.loads(plain.apis().body)["groups"]]
    assert [name for name in names if name in before] == before
    assert names[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert names[3] == "high"
    assert names[-3:] == ["b", "example.com", "low"]


def test_a_remote_version_wins_over_our_own_and_stands_beside_the_others() -> None:
    resources = Resources()
    resources.replace_custom([WIDGETS, replace(WIDGETS, version="v2")])
    document = {"version": "v2", "resources": [], "freshness": "Current"}
    remote = [RemoteVersion("example.com", "v2", (1000, 200), document)]
    found = Discovery(resources.all, lambda: resources.revision, lambda: remote)
    items = json.loads(found.aggregated(core=False).body)["items"]
    versions = next(each["versions"] for each in items if each["metadata"]["name"] == "example.com")
    assert versions[0] == document
    assert [each["version"] for each in versions] == ["v2", "v1"]
