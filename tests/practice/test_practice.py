"""The practice of the lesson, in its order. Each test is one chapter on a fresh cluster of three nodes."""

import os
import pty
import re
import select
import subprocess
import time
from itertools import pairwise

import pytest

from tests.practice import manifests
from tests.practice.lesson import Lesson, is_ready

pytestmark = [pytest.mark.real, pytest.mark.cluster]


def test_the_slips_are_refused_as_a_real_cluster_refuses_them(lesson: Lesson) -> None:
    output = lesson.kubectl("apply", "-f", "-", code=1, stdin=manifests.STATEFULSET_VERBATIM)
    assert "found character that cannot start any token" in output or "found a tab character" in output
    output = lesson.kubectl("apply", "-f", "-", code=1, stdin=manifests.STATEFULSET_WITHOUT_TAB)
    assert 'no matches for kind "StatefulSet-test" in version "apps/v1"' in output
    output = lesson.kubectl("apply", "-f", "-", code=1, stdin=manifests.REPLICASET_VERBATIM)
    assert (
        'The ReplicaSet "replicaSet-test" is invalid: metadata.name: Invalid value: "replicaSet-test": '
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
    ) in output
    assert lesson.get("replicasets,statefulsets,pods")["items"] == []


def test_a_replicaset_counts_and_a_statefulset_numbers(lesson: Lesson) -> None:
    lesson.apply(manifests.replicaset(1))
    lesson.apply(manifests.statefulset(1))
    (web,) = lesson.ready("type=web", 1)
    (db,) = lesson.ready("type=db", 1)
    assert re.fullmatch(r"replicaset-test-[a-z0-9]{5}", web["metadata"]["name"])
    assert db["metadata"]["name"] == "stateful-test-0"

    lesson.apply(manifests.replicaset(3))
    lesson.apply(manifests.statefulset(3))
    lesson.ready("type=web", 3)
    stateful = lesson.ready("type=db", 3)
    assert [pod["metadata"]["name"] for pod in stateful] == ["stateful-test-0", "stateful-test-1", "stateful-test-2"]
    for before, after in pairwise(stateful):
        assert ready_since(before) <= after["metadata"]["creationTimestamp"]

    old = lesson.names("type=web")[0]
    before = uids(lesson, "type=db")
    lesson.kubectl("delete", "pod", old, "stateful-test-0")
    lesson.ready("type=web", 3)
    lesson.ready("type=db", 3)
    assert old not in lesson.names("type=web")
    assert lesson.names("type=db") == ["stateful-test-0", "stateful-test-1", "stateful-test-2"]
    assert uids(lesson, "type=db")["stateful-test-0"] != before["stateful-test-0"]

    lesson.apply(manifests.replicaset(0))
    lesson.apply(manifests.statefulset(0))
    lesson.gone("type=web")
    lesson.gone("type=db")
    events = lesson.kubectl(
        "get",
        "events",
        "--field-selector",
        "reason=SuccessfulDelete",
        "-o",
        "jsonpath={range .items[*]}{.message}{'\\n'}{end}",
    )
    order = re.findall(r"Delete Pod (stateful-test-\d) in StatefulSet", events)
    assert order[-3:] == ["stateful-test-2", "stateful-test-1", "stateful-test-0"]


def test_a_replicaset_shares_one_volume_on_one_node(lesson: Lesson) -> None:
    nodes = [node["metadata"]["name"] for node in lesson.get("nodes")["items"]]
    assert len(nodes) == 3
    lesson.apply(manifests.CLAIM)
    lesson.apply(manifests.replicaset_with_claim(1, nodes[1]))
    (pod,) = lesson.ready("type=web2", 1)
    claim = lesson.get("pvc", "replica-pvc1")
    assert claim["status"]["phase"] == "Bound"
    assert claim["spec"]["storageClassName"] == "standard"
    lesson.kubectl("exec", pod["metadata"]["name"], "--", "touch", "/applog/hello_modu.log")
    lesson.apply(manifests.replicaset_with_claim(3, nodes[1]))
    for each in lesson.ready("type=web2", 3):
        assert lesson.kubectl("exec", each["metadata"]["name"], "--", "ls", "/applog").split() == ["hello_modu.log"]
        assert each["spec"]["nodeName"] == nodes[1]

    lesson.apply(manifests.pod_on(nodes[2]))

    def explained() -> str | None:
        conditions = lesson.get("pod", "elsewhere").get("status", {}).get("conditions") or ()
        return next((each["message"] for each in conditions if each["type"] == "PodScheduled"), None)

    message = lesson.until(explained, "the scheduler's reason")
    assert message.startswith("0/3 nodes are available: ")
    assert "1 node(s) didn't match PersistentVolume's node affinity" in message
    assert "2 node(s) didn't match Pod's node affinity/selector" in message
    assert lesson.get("pod", "elsewhere")["status"]["phase"] == "Pending"


def test_a_statefulset_gives_each_pod_a_berth(lesson: Lesson) -> None:
    lesson.apply(manifests.statefulset_with_claims(1))
    lesson.ready("type=db2", 1)
    lesson.apply(manifests.statefulset_with_claims(3))
    pods = lesson.ready("type=db2", 3)
    claims = {claim["metadata"]["name"]: claim for claim in lesson.get("pvc")["items"]}
    assert sorted(claims) == ["volume-stateful-pvc-0", "volume-stateful-pvc-1", "volume-stateful-pvc-2"]
    assert all(claim["status"]["phase"] == "Bound" for claim in claims.values())
    assert len({claim["spec"]["volumeName"] for claim in claims.values()}) == 3
    lesson.kubectl("exec", "stateful-pvc-0", "--", "touch", "/applog/hello-modu-stateful.log")
    assert lesson.kubectl("exec", "stateful-pvc-0", "--", "ls", "/applog").split() == ["hello-modu-stateful.log"]
    assert lesson.kubectl("exec", "stateful-pvc-1", "--", "ls", "/applog") == ""

    node = pods[0]["spec"]["nodeName"]
    lesson.kubectl("delete", "pod", "stateful-pvc-0")
    lesson.ready("type=db2", 3)
    assert lesson.get("pod", "stateful-pvc-0")["spec"]["nodeName"] == node
    assert lesson.kubectl("exec", "stateful-pvc-0", "--", "ls", "/applog").split() == ["hello-modu-stateful.log"]

    lesson.apply(manifests.statefulset_with_claims(0))
    lesson.gone("type=db2")
    lesson.kubectl("delete", "statefulset", "stateful-pvc")
    assert len(lesson.get("pvc")["items"]) == 3
    lesson.apply(manifests.statefulset_with_claims(1))
    lesson.ready("type=db2", 1)
    assert lesson.kubectl("exec", "stateful-pvc-0", "--", "ls", "/applog").split() == ["hello-modu-stateful.log"]


def test_kubectl_shows_and_reaches_everything(lesson: Lesson) -> None:
    lesson.apply(manifests.statefulset_with_claims(2))
    assert "2 new pods have been updated" in lesson.kubectl(
        "rollout", "status", "statefulset/stateful-pvc", "--timeout=30s"
    )
    lesson.ready("type=db2", 2)
    table = lesson.kubectl("get", "pv,pvc,sts,rs,pods", "-o", "wide")
    assert re.search(r"statefulset.apps/stateful-pvc\s+2/2\s", table)
    assert re.search(r"pod/stateful-pvc-0\s+1/1\s+Running\s+0\s", table)
    assert re.search(r"persistentvolumeclaim/volume-stateful-pvc-0\s+Bound\s+pvc-\S+\s+1G\s+RWO\s+standard\s", table)
    for thing in ("sts/stateful-pvc", "pod/stateful-pvc-0", "pvc/volume-stateful-pvc-0", "nodes", "pv"):
        assert "Name:" in lesson.kubectl("describe", thing)
    assert "Create Pod stateful-pvc-0 in StatefulSet stateful-pvc successful" in lesson.kubectl("get", "events")
    assert lesson.kubectl("exec", "stateful-pvc-0", "--", "sh", "-c", "exit 7", code=7)
    assert lesson.kubectl("exec", "-i", "stateful-pvc-0", "--", "cat", stdin="through stdin\n") == "through stdin\n"
    assert lesson.kubectl("exec", "stateful-pvc-0", "--", "hostname").strip() == "stateful-pvc-0"
    screen = typed(lesson, ["exec", "-it", "stateful-pvc-0", "--", "bash"], "echo bash-''works\nexit\n")
    assert "bash-works" in screen
    lesson.kubectl(
        "run",
        "talker",
        "--image=kubetm/app",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        "echo one; echo two; sleep 1; echo three",
    )
    assert lesson.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talker", "--timeout=20s")
    assert lesson.kubectl("logs", "talker").split() == ["one", "two", "three"]
    lesson.kubectl(
        "run", "follower", "--image=kubetm/app", "--restart=Never", "--", "sh", "-c", "echo one; sleep 1; echo two"
    )
    lesson.until(
        lambda: (
            "containerStatuses" in lesson.get("pod", "follower")["status"]
            and "one" in lesson.kubectl("logs", "follower")
        ),
        "a log",
    )
    assert lesson.kubectl("logs", "-f", "follower").split() == ["one", "two"]
    lesson.kubectl("scale", "statefulset/stateful-pvc", "--replicas=1")
    lesson.ready("type=db2", 1)
    lesson.kubectl("delete", "statefulset", "stateful-pvc", "--cascade=orphan")
    (orphan,) = lesson.ready("type=db2", 1)
    lesson.until(
        lambda: not lesson.get("pod", "stateful-pvc-0")["metadata"].get("ownerReferences"), "the orphan's release"
    )
    assert is_ready(orphan)


def test_down_and_up_bring_everything_back(lesson: Lesson) -> None:
    lesson.apply(manifests.statefulset_with_claims(2))
    lesson.ready("type=db2", 2)
    lesson.kubectl("exec", "stateful-pvc-1", "--", "touch", "/applog/kept")
    before = uids(lesson, "type=db2")
    lesson.moorage("down")
    assert "does not run" in lesson.moorage("status", code=1)
    lesson.moorage("up")
    lesson.ready("type=db2", 2)
    assert uids(lesson, "type=db2") == before
    lesson.until(lambda: "kept" in running_ls(lesson, "stateful-pvc-1"), "the file")


def running_ls(lesson: Lesson, pod: str) -> str:
    try:
        return lesson.kubectl("exec", pod, "--", "ls", "/applog")
    except AssertionError:
        return ""


def ready_since(pod: dict) -> str:
    return next(each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == "Ready")


def uids(lesson: Lesson, selector: str) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in lesson.pods(selector)}


def typed(lesson: Lesson, command: list[str], text: str) -> str:
    """Run kubectl on a terminal and type; returns what the screen showed."""
    environment = {**os.environ, "KUBECONFIG": str(lesson.directory / "kubeconfig"), "HOME": str(lesson.directory)}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*lesson.prefix, lesson.kubectl_path, f"--cache-dir={lesson.directory / 'cache'}", *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    screen, deadline, sent = b"", time.monotonic() + 20, False
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            screen += chunk
            if not sent and (b"# " in screen or b"$ " in screen):
                os.write(master, text.encode())
                sent = True
        elif process.poll() is not None:
            break
    process.wait(timeout=10)
    os.close(master)
    return screen.decode(errors="replace")
