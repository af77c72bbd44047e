"""What kr8s is used for."""

import urllib.request

import kr8s
from checks import pod, refusal_of, run, until
from kr8s.objects import ConfigMap, Deployment, Namespace, Pod

NAMESPACE = "kr8s"
api = kr8s.api(namespace=NAMESPACE)


def config_map(name: str) -> ConfigMap:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"a": "b"}}
    return ConfigMap({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}})


def check_objects_are_created_read_and_changed() -> None:
    Namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).create()
    one = config_map("one")
    one.create()
    assert one.exists()
    one.patch({"data": {"k": "w"}})
    one.patch([{"op": "add", "path": "/data/l", "value": "x"}], type="json")
    one.label({"c": "d"})
    one.annotate({"e": "f"})
    (found,) = kr8s.get("configmaps", namespace=NAMESPACE, label_selector={"c": "d"})
    assert found.raw["data"] == {"k": "w", "l": "x"}
    assert ConfigMap.get("one", namespace=NAMESPACE).annotations["e"] == "f"
    one.delete()
    until(lambda: not one.exists(), "its end")
    refusal_of(kr8s.NotFoundError, lambda: ConfigMap.get("one", namespace=NAMESPACE, timeout=0))


def check_what_there_is_is_known() -> None:
    assert api.version()["major"] == "1"
    assert any(each["name"] == "statefulsets" for each in api.api_resources())
    assert api.whoami()


def check_a_workload_is_scaled() -> None:
    container = {"name": "main", "image": "moorage.local/host", "command": ["sleep", "1000"]}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    web = Deployment(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
    )
    web.create()
    web.wait("condition=Available", timeout=20)
    web.scale(2)
    until(lambda: len(web.pods()) == 2, "two pods")
    web.delete()


def check_a_watch_tells_each_change() -> None:
    config_map("watched").create()
    for kind, each in api.watch("configmaps", namespace=NAMESPACE):
        if each.name == "watched":
            assert kind == "ADDED"
            break


def check_a_pod_runs_and_is_spoken_to() -> None:
    made = pod("p", ["sh", "-c", "echo hello; exec busybox httpd -f -p 8080 -h /etc"])
    made["metadata"]["namespace"] = NAMESPACE
    made["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    one = Pod(made)
    one.create()
    one.wait("condition=Ready", timeout=20)
    assert list(one.logs()) == ["hello"]
    done = one.exec(["echo", "hi"])
    assert (done.stdout, done.returncode) == (b"hi\n", 0)
    assert one.exec(["sh", "-c", "exit 3"], check=False).returncode == 3
    with (
        one.portforward(8080, local_port="auto") as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=10) as answer,
    ):
        assert answer.read()
    one.delete()


if __name__ == "__main__":
    run(globals())
