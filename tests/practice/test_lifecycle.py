"""What happens to real containers between their start and their end, and how one reaches into them."""

import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.practice.conftest import open_lesson
from tests.practice.lesson import Failed, Lesson

pytestmark = [pytest.mark.real, pytest.mark.cluster]

OBEYS = "trap 'exit 0' TERM; "
WAITS = f"{OBEYS}sleep 1000000 & wait"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lesson]:
    with tempfile.TemporaryDirectory(prefix="moorage-practice-") as directory:
        yield from open_lesson(Path(directory), 0, nodes=1)


@pytest.fixture(autouse=True)
def nothing_is_left(cluster: Lesson) -> Iterator[None]:
    yield
    cluster.kubectl("delete", "pods,configmaps,secrets", "--all", "--grace-period=0", "--force")


def pod(name: str, script: str = WAITS, spec: dict[str, Any] | None = None, **container: Any) -> str:
    main = {"name": "main", "image": "kubetm/app", "command": ["sh", "-c", script], **container}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [main], "terminationGracePeriodSeconds": 5, **(spec or {})},
        }
    )


def status_of(cluster: Lesson, name: str) -> dict[str, Any]:
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    return statuses[0]


def ready(cluster: Lesson, name: str) -> dict[str, Any]:
    return cluster.until(lambda: status_of(cluster, name).get("ready") and cluster.get("pod", name), f"{name} ready")


def terminated(cluster: Lesson, name: str) -> dict[str, Any]:
    return cluster.until(lambda: status_of(cluster, name).get("state", {}).get("terminated"), f"the end of {name}")


def output_of(cluster: Lesson, name: str, *command: str) -> str:
    """Return what a command in the pod prints, "" if it fails."""
    try:
        return cluster.kubectl("exec", name, "--", *command)
    except Failed:
        return ""


def has_event(cluster: Lesson, name: str, reason: str, text: str = "") -> bool:
    selector = f"involvedObject.name={name},reason={reason}"
    return any(text in each["message"] for each in cluster.get("events", "--field-selector", selector)["items"])


def test_a_container_says_why_it_ended(cluster: Lesson) -> None:
    cluster.apply(pod("speaker", "echo because > /dev/termination-log; exit 4", {"restartPolicy": "Never"}))
    ended = terminated(cluster, "speaker")
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (4, "Error", "because\n")


def test_the_end_of_the_log_stands_in_for_what_a_failed_container_did_not_say(cluster: Lesson) -> None:
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    cluster.apply(pod("silent", "echo last words; exit 1", {"restartPolicy": "Never"}, **policy))
    assert terminated(cluster, "silent")["message"] == "last words\n"
    cluster.apply(pod("content", "echo all is well", {"restartPolicy": "Never"}, **policy))
    assert "message" not in terminated(cluster, "content")


def test_a_container_that_ends_is_started_again_and_its_last_end_is_kept(cluster: Lesson) -> None:
    cluster.apply(pod("mortal"))
    ready(cluster, "mortal")
    output_of(cluster, "mortal", "kill", "-TERM", "1")  # ends with the pod
    cluster.until(lambda: status_of(cluster, "mortal").get("restartCount") == 1, "a restart")
    assert ready(cluster, "mortal")["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 0


def test_pods_whose_keeper_is_killed_come_back(cluster: Lesson) -> None:
    cluster.apply(pod("kept"))
    uid = ready(cluster, "kept")["metadata"]["uid"]
    (path,) = (cluster.directory / "state" / "nodes" / "nodes").glob(f"*/sandboxes/{uid}/shim.pid")
    os.kill(json.loads(path.read_text())["pid"], 9)
    cluster.until(lambda: status_of(cluster, "kept").get("restartCount") == 1, "a restart")
    ended = ready(cluster, "kept")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended["exitCode"] == 137
    assert output_of(cluster, "kept", "hostname").strip() == "kept"


def test_mounted_config_maps_and_secrets_follow_their_objects(cluster: Lesson) -> None:
    cluster.kubectl("create", "configmap", "settings", "--from-literal=color=red")
    cluster.kubectl("create", "secret", "generic", "key", "--from-literal=word=old")
    volumes = [{"name": "a", "configMap": {"name": "settings"}}, {"name": "b", "secret": {"secretName": "key"}}]
    mounts = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]
    cluster.apply(pod("reader", spec={"volumes": volumes}, volumeMounts=mounts))
    ready(cluster, "reader")
    assert output_of(cluster, "reader", "cat", "/a/color", "/b/word") == "redold"
    cluster.kubectl("patch", "configmap", "settings", "-p", '{"data":{"color":"blue","size":"big"}}')
    cluster.kubectl("patch", "secret", "key", "-p", '{"stringData":{"word":"new"}}')
    cluster.until(lambda: output_of(cluster, "reader", "cat", "/a/color", "/b/word") == "bluenew", "new content")
    assert output_of(cluster, "reader", "ls", "/a").split() == ["color", "size"]


def test_a_log_that_grows_is_put_aside_and_reading_goes_on(cluster: Lesson) -> None:
    line = "x" * 1000
    script = f"i=0; while [ $i -lt 25000 ]; do echo $i {line}; i=$((i+1)); done; echo end; {WAITS}"
    cluster.apply(pod("writer", script))
    ready(cluster, "writer")
    cluster.until(lambda: "end" in cluster.kubectl("logs", "writer", "--tail=1"), "the last line")
    (directory,) = (cluster.directory / "state" / "nodes" / "files").glob("*/logs/default_writer_*/main")
    files = sorted(path.name for path in directory.iterdir())
    assert files[0] == "0.log"
    assert len(files) == 3
    assert all(path.stat().st_size < 12 << 20 for path in directory.iterdir())


def test_hooks_run_after_the_start_and_before_the_end(cluster: Lesson) -> None:
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo began > /shared/hooks"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo ends >> /shared/hooks"]}},
    }
    place = cluster.directory / "shared"
    place.mkdir(exist_ok=True)
    spec = {"volumes": [{"name": "v", "hostPath": {"path": str(place)}}]}
    cluster.apply(pod("hooked", spec=spec, lifecycle=hooks, volumeMounts=[{"name": "v", "mountPath": "/shared"}]))
    cluster.until(lambda: (place / "hooks").exists() and (place / "hooks").read_text() == "began\n", "postStart")
    cluster.kubectl("delete", "pod", "hooked")
    assert (place / "hooks").read_text() == "began\nends\n"


def test_a_failing_hook_after_the_start_ends_the_container(cluster: Lesson) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 3"]}}}
    cluster.apply(pod("unhooked", lifecycle=hook))
    cluster.until(lambda: status_of(cluster, "unhooked").get("restartCount", 0) >= 1, "a restart")
    cluster.until(lambda: has_event(cluster, "unhooked", "FailedPostStartHook"), "the event")


def test_probes_start_ready_and_restart_a_container(cluster: Lesson) -> None:
    probes = {
        "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30},
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1},
        "livenessProbe": {
            "exec": {"command": ["test", "-e", "/tmp/up"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "terminationGracePeriodSeconds": 1,
        },
    }
    cluster.apply(pod("probed", **probes))
    cluster.until(lambda: "running" in status_of(cluster, "probed").get("state", {}), "the container")
    status = status_of(cluster, "probed")
    assert (status["started"], status["ready"]) == (False, False)
    cluster.kubectl("exec", "probed", "--", "touch", "/tmp/up")
    cluster.until(lambda: status_of(cluster, "probed")["started"], "the start")
    assert not status_of(cluster, "probed")["ready"]
    cluster.kubectl("exec", "probed", "--", "touch", "/tmp/ready")
    ready(cluster, "probed")
    cluster.kubectl("exec", "probed", "--", "rm", "/tmp/up")
    cluster.until(lambda: status_of(cluster, "probed").get("restartCount") == 1, "a restart")
    assert has_event(cluster, "probed", "Unhealthy", "Liveness probe failed")
    assert has_event(cluster, "probed", "Killing", "Container main failed liveness probe, will be restarted")


def test_one_can_attach_and_type(cluster: Lesson) -> None:
    answer = cluster.kubectl(
        *("run", "typed", "--image=kubetm/app", "--restart=Never", "-i", "--rm", "--quiet"),
        *("--", "sh", "-c", "read line; echo got $line"),
        stdin="through attach\n",
    )
    assert "got through attach" in answer


def test_an_ephemeral_container_sees_the_processes_of_its_target(cluster: Lesson) -> None:
    cluster.apply(pod("patient"))
    ready(cluster, "patient")
    cluster.kubectl(
        *("debug", "patient", "--image=kubetm/app", "--target=main", "--container=doctor", "--"),
        *("sh", "-c", "ps; echo examined"),
    )
    cluster.until(lambda: "examined" in logs_of(cluster, "patient", "doctor"), "the examination")
    assert "sleep 1000000" in logs_of(cluster, "patient", "doctor")
    (status,) = cluster.until(
        lambda: [s for s in cluster.get("pod", "patient")["status"]["ephemeralContainerStatuses"] if ended(s)], "an end"
    )
    assert status["restartCount"] == 0
    assert cluster.get("pod", "patient")["status"]["phase"] == "Running"


def ended(status: dict[str, Any]) -> bool:
    return "terminated" in status["state"]


def logs_of(cluster: Lesson, name: str, container: str) -> str:
    try:
        return cluster.kubectl("logs", name, "-c", container)
    except Failed:
        return ""


def test_a_port_is_forwarded(cluster: Lesson) -> None:
    cluster.apply(pod("server", "mkdir /www; echo hello > /www/index.html; httpd -f -p 8080 -h /www"))
    ready(cluster, "server")
    environment = {**os.environ, "KUBECONFIG": str(cluster.directory / "kubeconfig")}
    command = [cluster.kubectl_path, "port-forward", "pod/server", ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as forwarding:
        assert forwarding.stdout is not None
        line = forwarding.stdout.readline()
        port = int(line.split(" -> ")[0].rpartition(":")[2])

        def answer() -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as found:
                body: bytes = found.read()
                return body

        assert [answer(), answer()] == [b"hello\n", b"hello\n"]
        forwarding.terminate()


def test_files_are_copied_in_and_out(cluster: Lesson, tmp_path: Path) -> None:
    cluster.apply(pod("shelf", image="moorage.local/host"))
    ready(cluster, "shelf")
    content = os.urandom(300_000)
    (tmp_path / "in").write_bytes(content)
    cluster.kubectl("cp", str(tmp_path / "in"), "shelf:/tmp/file")
    cluster.kubectl("cp", "shelf:/tmp/file", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == content
