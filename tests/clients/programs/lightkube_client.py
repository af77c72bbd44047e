"""What lightkube is used for."""

import threading

from checks import pod, refusal_of, run, until
from lightkube import ApiError, Client, codecs
from lightkube.generic_resource import load_in_cluster_generic_resources
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod
from lightkube.types import CascadeType, PatchType

client = Client(field_manager="lightkube", namespace="lightkube")

STATEFULSET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: db, image: moorage.local/host, command: [sleep, "1000"]}]
"""


def check_objects_are_created_read_and_listed() -> None:
    client.create(Namespace(metadata=ObjectMeta(name="lightkube")))
    for number in range(3):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"c{number}", labels={"a": "b"}), data={"k": "v"}))
    names = [each.metadata.name for each in client.list(ConfigMap, labels={"a": "b"}, chunk_size=2)]
    assert names == ["c0", "c1", "c2"]
    assert refusal_of(ApiError, lambda: client.get(ConfigMap, "none")).status.reason == "NotFound"
    client.delete(ConfigMap, "c0", cascade=CascadeType.FOREGROUND)
    client.deletecollection(ConfigMap)
    assert list(client.list(ConfigMap, labels={"a": "b"})) == []


def check_objects_are_patched_in_every_way() -> None:
    client.create(ConfigMap(metadata=ObjectMeta(name="p"), data={"a": "1"}))
    assert client.patch(ConfigMap, "p", {"data": {"b": "2"}}).data == {"a": "1", "b": "2"}
    assert client.patch(ConfigMap, "p", {"data": {"b": None}}, patch_type=PatchType.MERGE).data == {"a": "1"}
    operations = [{"op": "replace", "path": "/data/a", "value": "3"}]
    assert client.patch(ConfigMap, "p", operations, patch_type=PatchType.JSON).data == {"a": "3"}
    applied = ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="p"), data={"a": "4"})
    refusal = refusal_of(ApiError, lambda: client.apply(applied, field_manager="other"))
    assert refusal.status.reason == "Conflict"
    assert client.apply(applied, force=True).data == {"a": "4"}
    replaced = client.get(ConfigMap, "p")
    replaced.data = {"z": "1"}
    assert client.replace(replaced).data == {"z": "1"}


def check_a_statefulset_is_applied_and_scaled() -> None:
    (berths,) = codecs.load_all_yaml(STATEFULSET)
    client.apply(berths)
    until(lambda: client.get(StatefulSet, "db").status.readyReplicas == 1, "a replica")
    scale = StatefulSet.Scale(metadata=ObjectMeta(name="db", namespace="lightkube"), spec=ScaleSpec(replicas=2))
    client.replace(scale, "db")
    client.wait(Pod, "db-1", for_conditions=["Ready"]) if until(
        lambda: len(list(client.list(Pod))) == 2, "pods"
    ) else None
    client.delete(StatefulSet, "db", grace_period=0)


def check_a_watch_tells_each_change() -> None:
    listed = client.list(ConfigMap)
    assert list(listed)
    version = listed.resourceVersion
    threading.Timer(0.2, lambda: client.create(ConfigMap(metadata=ObjectMeta(name="seen")))).start()
    for kind, obj in client.watch(ConfigMap, resource_version=version, server_timeout=10):
        if obj.metadata.name == "seen":
            assert kind == "ADDED"
            break


def check_the_log_of_a_pod_is_read() -> None:
    client.create(Pod.from_dict(pod("p", ["sh", "-c", "echo one; echo two"])))
    until(lambda: client.get(Pod, "p").status.phase == "Succeeded", "the pod's end")
    assert list(client.log("p")) == ["one\n", "two\n"]
    assert list(client.log("p", tail_lines=1, follow=True)) == ["two\n"]


def check_kinds_of_the_cluster_are_loaded() -> None:
    load_in_cluster_generic_resources(client)


if __name__ == "__main__":
    run(globals())
