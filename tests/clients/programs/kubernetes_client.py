"""What the official Python client is used for, typed and dynamic; for versions 31 to 37."""

import socket
import threading
import urllib.request

import kubernetes
from checks import pod, refusal_of, run, until
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import NotFoundError
from kubernetes.stream import portforward, stream

config.load_kube_config()
NAMESPACE = f"kubernetes-{kubernetes.__version__.split('.')[0]}"
core, apps = client.CoreV1Api(), client.AppsV1Api()
MAJOR = int(kubernetes.__version__.split(".")[0])

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "web", "image": "moorage.local/host", "command": ["sleep", "100"]}],
            },
        },
    },
}


def check_objects_are_created_read_and_listed() -> None:
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    for number in range(3):
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"c{number}", labels={"a": "b"}), data={"k": "v"})
        core.create_namespaced_config_map(NAMESPACE, body)
    assert core.read_namespaced_config_map("c0", NAMESPACE).data == {"k": "v"}
    page = core.list_namespaced_config_map(NAMESPACE, label_selector="a=b", limit=2)
    rest = core.list_namespaced_config_map(NAMESPACE, label_selector="a=b", _continue=page.metadata._continue)
    assert [each.metadata.name for each in [*page.items, *rest.items]] == ["c0", "c1", "c2"]
    refused = refusal_of(ApiException, lambda: core.read_namespaced_config_map("none", NAMESPACE))
    assert (refused.status, refused.reason) == (404, "Not Found")
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="a=b")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="a=b").items == []
    assert client.VersionApi().get_code().git_version.startswith("v1.37.")


def check_every_list_can_be_read() -> None:
    # The client checks every answer against its models.
    core.list_node(), core.list_persistent_volume(), core.list_event_for_all_namespaces()
    core.list_pod_for_all_namespaces(), core.list_service_for_all_namespaces(), core.list_namespace()
    client.RbacAuthorizationV1Api().list_cluster_role()
    client.StorageV1Api().list_storage_class()
    client.SchedulingV1Api().list_priority_class()
    client.ApiregistrationV1Api().list_api_service()
    client.ApiextensionsV1Api().list_custom_resource_definition()
    client.DiscoveryV1Api().list_endpoint_slice_for_all_namespaces()
    client.CoordinationV1Api().list_lease_for_all_namespaces()


def check_a_workload_rolls_and_is_patched() -> None:
    utils.create_from_dict(client.ApiClient(), DEPLOYMENT, namespace=NAMESPACE)
    until(lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.ready_replicas == 1, "a replica")
    assert apps.patch_namespaced_deployment("web", NAMESPACE, {"metadata": {"labels": {"x": "y"}}}).metadata.labels
    apps.patch_namespaced_deployment("web", NAMESPACE, [{"op": "remove", "path": "/metadata/labels/x"}])
    scale = apps.read_namespaced_deployment_scale("web", NAMESPACE)
    scale.spec.replicas = 2
    apps.replace_namespaced_deployment_scale("web", NAMESPACE, scale)
    until(lambda: apps.read_namespaced_deployment("web", NAMESPACE).status.ready_replicas == 2, "two replicas")
    stale = apps.read_namespaced_deployment("web", NAMESPACE)
    apps.patch_namespaced_deployment("web", NAMESPACE, {"metadata": {"labels": {"x": "z"}}})
    stale.metadata.resource_version = "1"
    refused = refusal_of(ApiException, lambda: apps.replace_namespaced_deployment("web", NAMESPACE, stale))
    assert refused.status == 409
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")


def check_a_watch_tells_each_change() -> None:
    listed = core.list_namespaced_config_map(NAMESPACE)
    threading.Timer(0.2, change_a_config_map).start()
    seen = []
    events = watch.Watch()
    start = listed.metadata.resource_version
    for event in events.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=10):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            events.stop()
    assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]


def change_a_config_map() -> None:
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "seen"}})
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)


def check_a_pod_runs_and_is_spoken_to() -> None:
    core.create_namespaced_pod(NAMESPACE, pod("p", ["sh", "-c", "echo hello; exec busybox httpd -f -p 8080 -h /etc"]))
    until(lambda: core.read_namespaced_pod("p", NAMESPACE).status.phase == "Running", "a running pod")
    until(lambda: core.read_namespaced_pod_log("p", NAMESPACE) == "hello\n", "its log")
    call = core.connect_get_namespaced_pod_exec
    assert stream(call, "p", NAMESPACE, command=["echo", "hi"], stdout=True, stderr=True) == "hi\n"
    talk = stream(call, "p", NAMESPACE, command=["cat"], stdin=True, stdout=True, stderr=True, _preload_content=False)
    talk.write_stdin("one\n")
    assert talk.readline_stdout(timeout=10) == "one"
    talk.close()
    ended = stream(call, "p", NAMESPACE, command=["sh", "-c", "exit 3"], stdout=True, _preload_content=False)
    ended.run_forever(timeout=10)
    assert ended.returncode == 3
    forward = portforward(core.connect_get_namespaced_pod_portforward, "p", NAMESPACE, ports="8080")
    connection = forward.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
    assert connection.recv(15).startswith(b"HTTP/1.")
    forward.close()
    core.delete_namespaced_pod("p", NAMESPACE)


def check_the_dynamic_client_finds_its_way() -> None:
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"a": "1"}}
    maps.create(body=body, namespace=NAMESPACE)
    applied = maps.server_side_apply(
        body={**body, "data": {"a": "2"}}, namespace=NAMESPACE, field_manager="dynamic", force_conflicts=True
    )
    assert applied.data.a == "2"
    patched = maps.patch(
        name="d", namespace=NAMESPACE, body={"data": {"a": "3"}}, content_type="application/merge-patch+json"
    )
    assert patched.data.a == "3"
    assert len(maps.get(namespace=NAMESPACE, field_selector="metadata.name=d").items) == 1
    maps.delete(name="d", namespace=NAMESPACE)
    assert refusal_of(NotFoundError, lambda: maps.get(name="d", namespace=NAMESPACE)).status == 404
    assert dynamic_client.resources.get(api_version="apps/v1", kind="StatefulSet").subresources["scale"]


def check_a_leader_is_elected() -> None:
    from kubernetes.leaderelection import electionconfig, leaderelection

    try:
        from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock as Lock
    except ImportError:
        from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock as Lock
    leads = threading.Event()
    settings = electionconfig.Config(
        Lock("leader", NAMESPACE, socket.gethostname()),
        lease_duration=4,
        renew_deadline=3,
        retry_period=1,
        onstarted_leading=leads.set,
        onstopped_leading=None,
    )
    threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True).start()
    assert leads.wait(15)


def check_custom_objects_are_served() -> None:
    group = f"v{MAJOR}.example.org"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "metadata": {"name": f"boats.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Boat", "plural": "boats"},
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }
    extensions, custom = client.ApiextensionsV1Api(), client.CustomObjectsApi()
    extensions.create_custom_resource_definition(definition)

    def is_established() -> bool:
        conditions = extensions.read_custom_resource_definition(f"boats.{group}").status.conditions or []
        return any((each.type, each.status) == ("Established", "True") for each in conditions)

    until(is_established, "an established definition")
    place = (group, "v1", NAMESPACE, "boats")
    custom.create_namespaced_custom_object(
        *place, {"apiVersion": f"{group}/v1", "kind": "Boat", "metadata": {"name": "ann"}, "spec": {"sails": 1}}
    )
    custom.patch_namespaced_custom_object(*place, "ann", {"spec": {"sails": 2}})
    custom.patch_namespaced_custom_object_status(*place, "ann", {"status": {"at": "sea"}})
    boat = custom.get_namespaced_custom_object(*place, "ann")
    assert (boat["spec"], boat["status"]) == ({"sails": 2}, {"at": "sea"})
    extensions.delete_custom_resource_definition(f"boats.{group}")


def check_the_server_answers_without_the_client() -> None:
    import ssl

    settings = client.Configuration.get_default_copy()
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    with urllib.request.urlopen(f"{settings.host}/version", context=context, timeout=10) as answer:
        assert answer.status == 200


if __name__ == "__main__":
    run(globals())
