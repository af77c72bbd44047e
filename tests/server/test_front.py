"""The server over raw sockets: one sentence a test."""

import asyncio
import gzip
import zlib

import orjson

from moorage.server.decoding import BODY_BYTES_MOST
from tests.server.world import Wire, until

CONFIGS = "/api/v1/namespaces/ns/configmaps"
JSON = {"Content-Type": "application/json"}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


async def test_an_object_is_answered_with_its_stored_bytes(world, wire):
    item = world.add_config("a", k="1")
    code, headers, body = await wire.ask("GET", f"{CONFIGS}/a")
    assert (code, body, headers["content-type"]) == (200, item.raw, "application/json")
    assert headers["cache-control"] == "no-cache, private"
    assert headers["audit-id"]
    assert headers["date"].endswith("GMT")
    request = world.api.requests[-1]
    assert (request.verb, request.namespace, request.name, request.user.name) == ("get", "ns", "a", "admin")


async def test_a_list_joins_items_without_kind_and_api_version(world, wire):
    world.add_config("a")
    world.add_config("b")
    listed = await wire.json("GET", CONFIGS)
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert listed["metadata"] == {"resourceVersion": "3"}
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    assert all("kind" not in item and "apiVersion" not in item for item in listed["items"])


async def test_a_page_of_a_list_tells_how_to_go_on(world, wire):
    for name in "abc":
        world.add_config(name)
    listed = await wire.json("GET", f"{CONFIGS}?limit=1")
    assert listed["metadata"] == {"resourceVersion": "4", "continue": "next", "remainingItemCount": 2}


async def test_a_table_shows_rows_with_metadata(world, wire):
    world.add_config("a", k="1")
    table = await wire.json("GET", CONFIGS, TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["name"] == "Name"
    (row,) = table["rows"]
    assert row["cells"] == ["a"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in row["object"]
    whole = await wire.json("GET", f"{CONFIGS}?includeObject=Object", TABLE)
    assert whole["rows"][0]["object"]["data"] == {"k": "1"}
    none = await wire.json("GET", f"{CONFIGS}/a?includeObject=None", TABLE)
    assert none["rows"][0]["object"] is None
    assert (await wire.json("GET", f"{CONFIGS}?includeObject=x", TABLE))["code"] == 400


async def test_only_metadata_is_answered_when_only_that_is_wanted(world, wire):
    world.add_config("a", k="1")
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    listed = await wire.json("GET", CONFIGS, accept)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0].keys() == {"kind", "apiVersion", "metadata"}
    refused = await wire.json("GET", f"{CONFIGS}/a", accept)
    assert refused["code"] == 406


async def test_yaml_and_indented_json_are_written_where_asked(world, wire):
    world.add_config("a", k="1")
    code, headers, body = await wire.ask("GET", f"{CONFIGS}/a", {"Accept": "application/yaml"})
    assert (code, headers["content-type"]) == (200, "application/yaml")
    assert b"data:\n  k: '1'\n" in body
    assert b'\n  "kind": "ConfigMap"' in (await wire.ask("GET", f"{CONFIGS}/a?pretty=true"))[2]
    code, headers, body = await wire.ask("GET", f"{CONFIGS}/none", {"Accept": "application/yaml"})
    assert (code, headers["content-type"]) == (404, "application/yaml")
    assert b"reason: NotFound\n" in body


async def test_what_cannot_be_written_is_refused(wire):
    refused = await wire.json("GET", f"{CONFIGS}/a", {"Accept": "text/html"})
    assert refused["message"] == (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf"
    )
    assert refused["details"] == {}


async def test_a_body_without_content_type_is_json(world, wire):
    code, _, body = await wire.ask("POST", f"{CONFIGS}?dryRun=All", body=b'{"metadata":{"name":"a"}}')
    assert code == 201
    assert orjson.loads(body)["kind"] == "ConfigMap"
    assert world.api.requests[-1].query == {"dryRun": "All"}


async def test_the_text_of_a_body_goes_along_for_its_repeated_fields(world, wire):
    body = b'{"metadata":{"name":"a","name":"b"},"data":{"k":"1","k":"2"}}'
    wire.send("POST", CONFIGS, JSON, body)
    code, _, answer = await wire.answer()
    assert (code, world.api.requests[-1].raw) == (201, body)
    assert orjson.loads(answer)["data"] == {"k": "2"}


async def test_deeply_nested_bodies_are_read(wire):
    body = b'{"metadata":{"name":"a"},"x":' + b"[" * 400 + b"]" * 400 + b"}"
    code, _, _ = await wire.ask("PUT", f"{CONFIGS}/none", JSON, body)
    assert code == 404


async def test_a_compressed_body_is_read(wire):
    body = gzip.compress(b'{"metadata":{"name":"a"}}')
    code, _, _ = await wire.ask("POST", CONFIGS, {**JSON, "Content-Encoding": "gzip"}, body)
    assert code == 201


async def test_a_broken_compressed_body_is_a_bad_request(wire):
    code, _, _ = await wire.ask("POST", CONFIGS, {**JSON, "Content-Encoding": "gzip"}, b"no gzip at all")
    assert code == 400


async def test_a_body_over_the_limit_is_refused_before_it_is_read(wire):
    wire.send("POST", CONFIGS, {**JSON, "Content-Length": str(BODY_BYTES_MOST + 1)})
    code, headers, body = await wire.answer()
    assert (code, headers["connection"]) == (413, "close")
    assert orjson.loads(body)["message"] == "Request entity too large: limit is 3145728"


async def test_a_body_that_grows_over_the_limit_is_refused(wire):
    bomb = zlib.compress(b"[" * (BODY_BYTES_MOST + 100))
    code, _, _ = await wire.ask("POST", CONFIGS, {**JSON, "Content-Encoding": "deflate"}, bomb)
    assert code == 413


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(wire):
    body = b'{"metadata":{"name":"a"}}'
    wire.send("POST", CONFIGS, {**JSON, "Expect": "100-continue", "Content-Length": str(len(body))})
    assert (await wire.head())[0] == 100
    wire.writer.write(body)
    assert (await wire.answer())[0] == 201


async def test_a_patch_needs_to_say_what_it_is(world, wire):
    world.add_config("a")
    refused = await wire.json("PATCH", f"{CONFIGS}/a", JSON, b"{}")
    assert (refused["code"], refused["message"], refused["details"]) == (415, "415: Unsupported Media Type", {})
    patched = await wire.json(
        "PATCH", f"{CONFIGS}/a", {"Content-Type": "application/merge-patch+json; charset=utf-8"}, b'{"x":1}'
    )
    assert patched["patchedBy"] == "application/merge-patch+json"
    applied = await wire.json("PATCH", f"{CONFIGS}/a", {"Content-Type": "application/apply-patch+yaml"}, b"x: 2\n")
    assert applied["x"] == 2


async def test_delete_options_come_from_the_body(world, wire):
    world.add_config("a")
    status = await wire.json("DELETE", f"{CONFIGS}/a", JSON, b'{"propagationPolicy":"Background"}')
    assert status["details"]["asked"] == {"propagationPolicy": "Background"}
    world.add_config("b")
    wrong = await wire.json("DELETE", f"{CONFIGS}/b", JSON, b'{"gracePeriodSeconds":"5"}')
    assert wrong["message"] == (
        "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
    )


async def test_a_collection_is_deleted_and_listed(world, wire):
    world.add_config("a")
    deleted = await wire.json("DELETE", CONFIGS)
    assert (deleted["kind"], len(deleted["items"]), world.api.items) == ("ConfigMapList", 1, {})


async def test_wrong_tokens_are_unauthorized_and_nobody_is_forbidden(wire):
    refused = await wire.json("GET", CONFIGS, {"Authorization": "bearer nope"})
    assert (refused["code"], refused["reason"], refused["message"]) == (401, "Unauthorized", "Unauthorized")
    for authorization in ("Basic YTpi", "Bearer ", None):
        assert (await wire.json("GET", CONFIGS, {"Authorization": authorization}))["code"] == 403


async def test_impersonation_changes_the_user(world, wire):
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "system:masters", "Impersonate-Extra-Scopes": "view"}
    world.add_config("a")
    assert (await wire.ask("GET", f"{CONFIGS}/a", headers))[0] == 200
    user = world.api.requests[-1].user
    assert (user.name, user.groups) == ("jane", ("system:masters", "system:authenticated"))
    assert user.extra == {"scopes": ["view"]}
    refused = await wire.json("GET", CONFIGS, {"Impersonate-Group": "dev"})
    assert refused["message"] == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)} '
        "without impersonating a user name"
    )
    headers = {"Authorization": None, "Impersonate-User": "jane"}
    assert "impersonate-on:user-info:list" in (await wire.json("GET", CONFIGS, headers))["message"]


async def test_impersonating_nobody_is_being_oneself(world, wire):
    world.add_config("a")
    users = []
    for headers in ({}, {"Impersonate-User": ""}):
        assert (await wire.ask("GET", f"{CONFIGS}/a", headers))[0] == 200
        users.append(world.api.requests[-1].user)
    assert users[0] == users[1]


async def test_a_field_selector_names_what_is_authorized(world, wire):
    await wire.json("GET", f"{CONFIGS}?fieldSelector=metadata.name%3Da")
    assert world.authorizer.asked[-1].name == "a"


async def test_paths_and_methods_that_do_not_exist_are_told_apart(wire):
    for target, code in (
        ("/api/v1/namespaces/ns/foos", 404),
        ("/api/v1/namespaces/ns/configmaps/x/foo", 404),
        ("/api/v1/configmaps/x", 404),
        ("/api/v1/namespaces/ns/nodes", 404),
        ("/api/v1/namespaces/ns/configmaps/a%2Fb", 404),
        ("/api/v1/namespaces/ns/bindings", 405),
        ("/api/v1/namespaces/ns/finalize", 405),
        ("/api/v1/namespaces/ns/pods/x/binding", 405),
    ):
        refused = await wire.json("GET", target)
        assert (target, refused["code"], refused["details"]) == (target, code, {})
    assert (await wire.json("PUT", CONFIGS, JSON, b"{}"))["code"] == 405
    assert (await wire.json("POST", f"{CONFIGS}/x", JSON, b"{}"))["code"] == 405
    assert (await wire.json("DELETE", "/api"))["code"] == 405
    for target in ("/api/v9", "/api/v9/pods", "/apis/apps/v1beta1"):
        assert (await wire.json("GET", target))["message"] == "the server could not find the requested resource"
    for target in ("/foo", "/apis/foo.io/v1/bars", "/apis/foo.io/v1", "/apis/foo.io"):
        code, headers, body = await wire.ask("GET", target)
        assert (code, body) == (404, b"404 page not found\n")
        assert headers["content-type"].startswith("text/plain")


async def test_a_name_that_cannot_stand_in_a_path_is_refused(wire):
    refused = await wire.json("GET", f"{CONFIGS}/%2e%2e")
    assert (refused["code"], refused["message"]) == (400, "Name parameter invalid: \"..\": may not be '..'")


async def test_a_broken_escape_is_a_bad_request(wire):
    assert (await wire.ask("GET", "/api/v1/namespaces/%zz"))[0] == 400


async def test_trailing_slashes_do_not_matter(wire):
    assert (await wire.json("GET", f"{CONFIGS}/"))["kind"] == "ConfigMapList"
    assert (await wire.json("GET", "/version/"))["major"] == "1"


async def test_discovery_is_aggregated_for_who_asks_exactly_for_it(wire):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    code, headers, body = await wire.ask("GET", "/apis", {"Accept": accept})
    assert headers["content-type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert orjson.loads(body)["apiVersion"] == "apidiscovery.k8s.io/v2"
    code, _, _ = await wire.ask("GET", "/apis", {"Accept": accept, "If-None-Match": headers["etag"]})
    assert code == 304
    assert (await wire.json("GET", "/apis"))["kind"] == "APIGroupList"
    assert (await wire.json("GET", "/apis/apps"))["kind"] == "APIGroup"
    assert (await wire.json("GET", "/apis/apps/v1"))["groupVersion"] == "apps/v1"
    assert (await wire.json("GET", "/api/v1"))["kind"] == "APIResourceList"


async def test_an_openapi_document_is_found_by_its_hash(wire):
    index = await wire.json("GET", "/openapi/v3")
    target = index["paths"]["apis/batch/v1"]["serverRelativeURL"]
    code, headers, body = await wire.ask("GET", target)
    assert code == 200
    assert "immutable" in headers["cache-control"]
    assert orjson.loads(body)["openapi"] == "3.0.0"
    code, headers, _ = await wire.ask("GET", "/openapi/v3/apis/batch/v1?hash=OLD")
    assert (code, headers["location"]) == (301, target)
    code, headers, body = await wire.ask("GET", "/openapi/v3/apis/none/v1")
    assert (code, body, "content-type" in headers) == (404, b"", False)


async def test_health_is_told_by_check(world, wire):
    assert (await wire.ask("GET", "/healthz"))[2] == b"ok"
    assert (await wire.ask("GET", "/readyz?verbose"))[2] == b"[+]ping ok\n[+]store ok\nreadyz check passed\n"
    assert (await wire.ask("GET", "/readyz/store"))[2] == b"ok"
    world.problem = "the disk is full"
    code, _, body = await wire.ask("GET", "/readyz")
    assert (code, body) == (500, b"[+]ping ok\n[-]store failed: the disk is full\nreadyz check failed\n")
    assert (await wire.ask("GET", "/readyz?exclude=store"))[0] == 200
    assert (await wire.ask("GET", "/livez"))[2] == b"ok"


async def test_requests_are_counted(wire):
    await wire.ask("GET", f"{CONFIGS}/none")
    await wire.ask("GET", CONFIGS)
    text = (await wire.ask("GET", "/metrics"))[2].decode()
    labels = 'verb="list",group="",version="v1",resource="configmaps",subresource="",code="200"'
    assert f"apiserver_request_total{{{labels}}} 1" in text
    assert 'resource="unknown"' in text


async def test_a_fault_is_told_without_our_insides(world, wire, caplog):
    def fail(request):
        raise RuntimeError("secret detail")

    world.api.on_write = fail
    refused = await wire.json("POST", CONFIGS, JSON, b"{}")
    assert (refused["code"], refused["reason"]) == (500, "InternalError")
    assert "secret detail" not in orjson.dumps(refused).decode()
    assert "secret detail" in caplog.text


async def test_many_requests_go_over_one_connection_in_order(world, wire):
    for name in ("a", "b", "c"):
        world.add_config(name)
    for name in ("a", "b", "c"):
        wire.send("GET", f"{CONFIGS}/{name}")
    for name in ("a", "b", "c"):
        assert orjson.loads((await wire.answer())[2])["metadata"]["name"] == name


async def test_head_has_no_body(world, wire):
    world.add_config("a")
    wire.send("HEAD", f"{CONFIGS}/a")
    code, headers = await wire.head()
    assert (code, int(headers["content-length"]) > 0) == (200, True)
    assert (await wire.ask("GET", "/healthz"))[2] == b"ok"


async def test_an_old_client_gets_its_connection_closed(world):
    wire = await Wire.to(world)
    wire.writer.write(b"GET /healthz HTTP/1.0\r\nAuthorization: Bearer secret\r\n\r\n")
    code, headers, body = await wire.answer()
    assert (code, body, headers["connection"]) == (200, b"ok", "close")
    assert await wire.at_end()
    wire.close()


async def test_stopping_lets_requests_finish_and_takes_no_new_ones(world, wire):
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await may_end.wait()

    world.api.on_write = lambda request: wait()
    wire.send("POST", CONFIGS, JSON, b'{"metadata":{"name":"a"}}')
    await begun.wait()
    stopping = asyncio.ensure_future(world.server.stop(5))
    await until(lambda: world.front.streams.is_stopping)
    may_end.set()
    assert (await wire.answer())[0] == 201
    await stopping
