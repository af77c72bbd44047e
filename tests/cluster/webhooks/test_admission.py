"""Admission webhooks from end to end: a control plane, and a real HTTPS server that it asks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from moorage.client.client import Target
from moorage.objects.encoded import Encoded
from moorage.objects.errors import StatusError
from tests.cluster.webhooks.plane import JANE, Plane
from tests.cluster.webhooks.server import Certificate, patching


def allow(_: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def labelling(key: str) -> Any:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        labels = {**(asked["object"]["metadata"].get("labels") or {}), key: "yes"}
        return patching({"op": "add", "path": "/metadata/labels", "value": labels})

    return answer


async def test_a_webhook_changes_what_is_stored(plane: Plane) -> None:
    await plane.hook("mutating", plane.server.on("/m", labelling("x")))
    created = await plane.config_map()
    assert created["metadata"]["labels"] == {"x": "yes"}
    assert (await plane.control.client.get(Target("configmaps", "n", "c")))["metadata"]["labels"] == {"x": "yes"}


async def test_a_webhook_is_told_who_does_what_to_which_object(plane: Plane) -> None:
    await plane.hook("validating", plane.server.on("/v", allow))
    await plane.config_map(dryRun="All", fieldManager="me")
    (review,) = plane.server.asked
    asked = review["request"]
    assert (review["kind"], review["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
    assert asked["kind"] == asked["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert asked["resource"] == asked["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (asked["operation"], asked["namespace"], asked["name"]) == ("CREATE", "n", "c")
    assert asked["userInfo"] == {"username": "jane", "groups": list(JANE.groups), "extra": {"scopes": ["a"]}}
    assert (asked["dryRun"], asked["oldObject"], asked["object"]["data"]) == (True, None, {"a": "1"})
    assert asked["options"]["kind"] == "CreateOptions"
    assert asked["options"]["fieldManager"] == "me"
    assert asked["object"]["metadata"]["managedFields"][0]["manager"] == "me"


async def test_a_refusal_is_the_webhooks_own(plane: Plane) -> None:
    status = {"code": 418, "message": "no tea", "reason": "Teapot"}
    await plane.hook("validating", plane.server.on("/v", lambda _: {"allowed": False, "status": status}))
    refusal = await plane.refusal()
    assert refusal["message"] == 'admission webhook "w1.example.com" denied the request: no tea'
    assert (refusal["code"], refusal["reason"]) == (418, "Teapot")


async def test_a_refusal_without_words_is_a_bad_request(plane: Plane) -> None:
    await plane.hook("mutating", plane.server.on("/v", lambda _: {"allowed": False}))
    refusal = await plane.refusal()
    assert refusal["message"] == 'admission webhook "w1.example.com" denied the request without explanation'
    assert refusal["code"] == 400
    assert "reason" not in refusal


async def test_a_webhook_may_warn(plane: Plane) -> None:
    await plane.hook("validating", plane.server.on("/v", lambda _: {"allowed": True, "warnings": ["careful"]}))
    await plane.config_map()
    assert plane.warnings == ["careful"]


async def test_the_failure_policy_decides_about_a_webhook_that_does_not_answer_in_time(plane: Plane) -> None:
    never = plane.server.on("/never", lambda _: None)
    await plane.hook("validating", never, timeoutSeconds=1)
    refusal = await plane.refusal()
    where = f"https://127.0.0.1:{plane.server.port}/never?timeout=1s"
    why = f'failed calling webhook "w1.example.com": failed to call webhook: Post "{where}": context deadline exceeded'
    assert refusal["message"] == f"Internal error occurred: {why}"
    assert refusal["details"] == {"causes": [{"message": why}]}
    assert refusal["code"] == 500


async def test_a_failure_may_be_ignored(plane: Plane) -> None:
    await plane.hook("mutating", plane.server.on("/e", lambda _: web.Response(status=500)), failurePolicy="Ignore")
    await plane.hook("validating", {"url": "https://127.0.0.1:1/"}, failurePolicy="Ignore")
    assert (await plane.config_map())["metadata"]["name"] == "c"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=404), "failed to call webhook: the server could not find the requested resource"),
        (
            web.Response(status=500, text="oh"),
            'failed to call webhook: an error on the server ("oh") has prevented the request from succeeding',
        ),
        (web.Response(text="{}"), "received invalid webhook response: webhook response was absent"),
        ({"uid": "x", "allowed": True}, 'received invalid webhook response: expected response.uid="UID", got "x"'),
        (
            patching({"op": "add", "path": "/data", "value": {}}),
            "received invalid webhook response: validating webhook may not return response.patch",
        ),
    ],
)
async def test_a_bad_answer_is_a_failure(plane: Plane, answer: Any, why: str) -> None:
    await plane.hook("validating", plane.server.on("/v", lambda _: answer))
    message = (await plane.refusal())["message"]
    message = message.replace(plane.server.asked[0]["request"]["uid"], "UID")
    assert message == f'Internal error occurred: failed calling webhook "w1.example.com": {why}'


async def test_a_deletion_shows_what_goes(plane: Plane) -> None:
    await plane.config_map()
    await plane.hook("mutating", plane.server.on("/m", allow))
    await plane.hook("validating", plane.server.on("/v", lambda _: {"allowed": False}))
    options = {"gracePeriodSeconds": 3, "dryRun": ["All"]}
    with pytest.raises(StatusError, match="denied the request"):
        await plane.control.api.delete(plane.request("delete", "configmaps", "c"), options)
    for review in plane.server.asked:
        asked = review["request"]
        assert (asked["operation"], asked["object"], asked["oldObject"]["data"]) == ("DELETE", None, {"a": "1"})
        assert asked["options"] == {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **options}
        assert asked["dryRun"] is True
    assert len(plane.server.asked) == 2


async def test_an_update_shows_both_states_and_a_subresource_its_kind(plane: Plane) -> None:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}
    spec["template"]["spec"] = {"containers": [{"name": "c", "image": "i"}]}
    await plane.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec})
    rules = [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["deployments/*"]}]
    change = patching({"op": "replace", "path": "/spec/replicas", "value": 7})
    await plane.hook("mutating", plane.server.on("/m", lambda _: change), rules=rules)
    patch = {"spec": {"replicas": 3}}
    request = plane.request("patch", "deployments.apps", "d", "scale")
    answer = await plane.control.api.patch(request, patch, "application/merge-patch+json")
    assert answer.body["spec"] == {"replicas": 7}  # type: ignore[index]
    asked = plane.server.asked[0]["request"]
    assert asked["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (asked["subResource"], asked["requestSubResource"]) == ("scale", "scale")
    assert (asked["oldObject"]["spec"], asked["object"]["spec"]) == ({"replicas": 1}, {"replicas": 3})


async def test_an_eviction_and_a_connection_are_asked_about_as_such(plane: Plane) -> None:
    container = {"name": "c", "image": "i"}
    await plane.control.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "n"}})
    await plane.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    rules = [{"apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE", "CONNECT"], "resources": ["pods/*"]}]
    await plane.hook("validating", plane.server.on("/v", lambda _: {"allowed": False}), rules=rules)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    with pytest.raises(StatusError, match="denied the request"):
        await plane.control.api.create(plane.request("create", "pods", "p", "eviction"), eviction)
    options = {"apiVersion": "v1", "kind": "PodExecOptions", "command": ["sh"]}
    with pytest.raises(StatusError, match="denied the request"):
        await plane.control.api.connect(plane.request("connect", "pods", "p", "exec"), options)
    told = [(each["request"]["operation"], each["request"]["kind"]["kind"]) for each in plane.server.asked]
    assert told == [("CREATE", "Eviction"), ("CONNECT", "PodExecOptions")]
    assert plane.server.asked[1]["request"]["object"]["command"] == ["sh"]


async def test_who_wants_it_is_asked_again_when_a_later_one_changed_the_object(plane: Plane) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    def answer(key: str) -> Any:
        def label(asked: dict[str, Any]) -> dict[str, Any]:
            seen.append((key, asked["object"]["metadata"].get("labels") or {}))
            return dict(labelling(key)(asked))

        return label

    await plane.hook("mutating", plane.server.on("/a", answer("a")), reinvocationPolicy="IfNeeded")
    await plane.hook("mutating", plane.server.on("/b", answer("b")))
    created = await plane.config_map()
    assert created["metadata"]["labels"] == {"a": "yes", "b": "yes"}
    assert seen == [("a", {}), ("b", {"a": "yes"}), ("a", {"a": "yes", "b": "yes"})]


async def test_conditions_selectors_and_configurations_themselves_are_left_out(plane: Plane) -> None:
    deny = plane.server.on("/v", lambda _: {"allowed": False})
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]
    conditions = [{"name": "only-x", "expression": "object.metadata.name == 'x'"}]
    await plane.hook("validating", deny, rules=everything, matchConditions=conditions)
    await plane.hook("validating", deny, rules=everything, namespaceSelector={"matchLabels": {"env": "prod"}})
    await plane.hook("validating", deny, objectSelector={"matchLabels": {"a": "b"}})
    await plane.config_map()
    assert plane.server.asked == []
    await plane.refusal("x")


async def test_a_service_leads_to_a_pod_through_its_node(plane: Plane) -> None:
    spec = {"ports": [{"port": 443, "targetPort": 8443}]}
    await plane.create("services", {"metadata": {"name": "hook"}, "spec": spec})
    client = {"service": {"namespace": "n", "name": "hook", "path": "/v"}, "caBundle": plane.server.certificate.bundle}
    plane.server.on("/v", allow)
    await plane.hook("validating", client)
    message = (await plane.refusal())["message"]
    assert message.endswith('Post "https://hook.n.svc:443/v?timeout=10s": no endpoints available for service "hook"')
    await plane.control.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "n"}})
    pod = await plane.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    status = {"podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
    await plane.control.client.update("pods", {**pod, "status": status}, subresource="status")
    target = {"kind": "Pod", "namespace": "n", "name": "p"}
    metadata = {"name": "hook-1", "namespace": "n", "labels": {"kubernetes.io/service-name": "hook"}}
    ports, endpoints = [{"port": 8443}], [{"addresses": ["10.1.2.3"], "targetRef": target}]
    slices = {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}
    await plane.control.client.create("endpointslices.discovery.k8s.io", slices)
    plane.node.port = plane.server.port
    assert (await plane.config_map())["metadata"]["name"] == "c"
    assert plane.node.dialled == [("p", 8443)]


async def test_an_external_name_leads_to_a_tunnel_on_this_machine(plane: Plane) -> None:
    spec = {"type": "ExternalName", "externalName": "localhost"}
    await plane.create("services", {"metadata": {"name": "hook"}, "spec": spec})
    plane.server.on("/v", allow)
    service = {"namespace": "n", "name": "hook", "path": "/v", "port": plane.server.port}
    await plane.hook("validating", {"service": service, "caBundle": plane.server.certificate.bundle})
    await plane.config_map()
    assert len(plane.server.asked) == 1


async def test_a_certificate_must_be_signed_by_the_bundle(plane: Plane, tmp_path: Path) -> None:
    client = {**plane.server.on("/v", allow), "caBundle": Certificate(tmp_path).bundle}
    await plane.hook("validating", client)
    expected = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert (await plane.refusal())["message"].endswith(expected)


async def test_a_connection_is_used_again(plane: Plane) -> None:
    await plane.hook("validating", plane.server.on("/v", allow))
    for name in "abc":
        await plane.config_map(name)
    assert len(plane.server.asked) == 3
    assert len(plane.server.connections) == 1


async def test_what_a_patch_makes_is_read_as_a_body_is(plane: Plane) -> None:
    await plane.hook("mutating", plane.server.on("/m", lambda _: patching({"op": "add", "path": "/data", "value": 5})))
    refusal = await plane.refusal()
    assert refusal["code"] == 500
    assert refusal["message"].startswith("Internal error occurred: ")


async def test_a_built_in_object_is_shown_in_the_version_of_the_rule(plane: Plane) -> None:
    rules = [{"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "operations": ["*"], "resources": ["*"]}]
    change = patching({"op": "replace", "path": "/spec/maxReplicas", "value": 5})
    await plane.hook("mutating", plane.server.on("/m", lambda _: change), rules=rules)
    api = plane.control.api
    row = api.resources.find("autoscaling", "v1", "horizontalpodautoscalers")
    assert row is not None
    spec = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    obj = {"apiVersion": "autoscaling/v1", "kind": row.kind, "metadata": {"name": "a"}}
    request = replace(plane.request("create", "horizontalpodautoscalers.autoscaling"), resource=row)
    answer = await api.create(request, {**obj, "spec": {**spec, "targetCPUUtilizationPercentage": 50}})
    assert isinstance(answer.body, Encoded)
    assert answer.body.object["spec"] == {
        **spec,
        "maxReplicas": 5,
        "minReplicas": 1,
        "targetCPUUtilizationPercentage": 50,
    }
    asked = plane.server.asked[0]["request"]
    assert asked["object"]["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v2", "v1")


async def test_our_own_plugins_complete_what_a_webhook_put_into_a_pod(plane: Plane) -> None:
    await plane.control.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "n"}})
    sidecar = {"name": "sidecar", "image": "s"}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    change = patching({"op": "add", "path": "/spec/containers/-", "value": sidecar})
    await plane.hook("mutating", plane.server.on("/m", lambda _: change), rules=rules)
    pod = await plane.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    own, added = pod["spec"]["containers"]
    assert len(pod["spec"]["volumes"]) == 1
    assert own["volumeMounts"] == added["volumeMounts"]
    assert added["imagePullPolicy"] == "Always"
    assert len(plane.server.asked) == 1


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_condition_without_a_value_refuses_unless_failures_are_ignored(plane: Plane, policy: str) -> None:
    conditions = [{"name": "c", "expression": "object.spec.a == 1"}]
    client = plane.server.on("/v", lambda _: {"allowed": False})
    await plane.hook("validating", client, matchConditions=conditions, failurePolicy=policy)
    if policy == "Ignore":
        assert (await plane.config_map())["metadata"]["name"] == "c"
    else:
        refusal = await plane.refusal()
        why = "expression 'object.spec.a == 1' resulted in error: no such key: spec"
        assert refusal["message"] == f'configmaps "c" is forbidden: {why}'
        assert refusal["code"] == 403
    assert plane.server.asked == []
