import json
import re
from typing import Any

import pytest

from moorage.api.openapi import OpenApi
from moorage.api.openapi_custom import Published
from moorage.objects.kinds import Subresource
from tests.api.test_discovery import WIDGETS

SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "description": "what is wanted"}}}


def openapi(*custom: Published) -> OpenApi:
    return OpenApi(lambda: custom, lambda: len(custom))


def document(key: str, *custom: Published) -> dict[str, Any]:
    found = openapi(*custom).document(key)
    assert found is not None
    content: dict[str, Any] = json.loads(found.body)
    return content


def index(*custom: Published) -> dict[str, Any]:
    paths: dict[str, Any] = json.loads(openapi(*custom).index().body)["paths"]
    return paths


def test_the_index_names_every_document_with_its_hash() -> None:
    found = openapi()
    for key, row in index().items():
        page = found.document(key)
        assert page is not None
        assert row["serverRelativeURL"] == f"/openapi/v3/{key}?hash={page.etag.strip(chr(34))}"


@pytest.mark.parametrize("key", sorted(index()))
def test_every_reference_of_a_document_is_in_it(key: str) -> None:
    content = document(key)
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(content)))
    assert names <= set(content["components"]["schemas"])


def test_kubectl_finds_that_field_validation_is_understood() -> None:
    patch = document("apis/apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_merge_keys_are_published() -> None:
    schemas = document("api/v1")["components"]["schemas"]
    ports = schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]


def test_a_parameter_that_the_path_names_is_required() -> None:
    item = document("api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]
    places = {each["name"]: (each["in"], each.get("required")) for each in item["parameters"]}
    assert places["namespace"] == ("path", True)
    assert places["pretty"] == ("query", None)


def test_a_custom_resource_is_published_with_its_schema_and_paths() -> None:
    scale = Subresource("scale", "Scale", ("get",), "autoscaling", "v1")
    row = WIDGETS.__class__(
        **{**{name: getattr(WIDGETS, name) for name in WIDGETS.__slots__}, "subresources": {"scale": scale}}
    )
    content = document("apis/example.com/v1", Published(row, SCHEMA))
    schema = content["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["description"] == "what is wanted"
    assert schema["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Widget", "version": "v1"}]
    item = content["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]
    assert item["patch"]["operationId"] == "patchExampleComV1NamespacedWidget"
    assert "io.k8s.api.autoscaling.v1.Scale" in content["components"]["schemas"]


def test_another_schema_is_another_hash() -> None:
    key = "apis/example.com/v1"
    one = openapi(Published(WIDGETS, SCHEMA)).hash(key)
    other = openapi(Published(WIDGETS, {"type": "object"})).hash(key)
    assert one != other
    assert openapi(Published(WIDGETS, SCHEMA)).hash("api/v1") == openapi().hash("api/v1")


def test_what_is_not_served_has_no_document() -> None:
    assert openapi().document("apis/none/v1") is None
