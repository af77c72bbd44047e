"""What nodes are given that cannot work: each gives its own error, harms nothing else, and goes on once it can."""

import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.practice import manifests
from tests.practice.archives import docker_archive
from tests.practice.conftest import open_lesson
from tests.practice.lesson import Lesson

pytestmark = [pytest.mark.real, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lesson]:
    with tempfile.TemporaryDirectory(prefix="moorage-practice-") as directory:
        yield from open_lesson(Path(directory), 0, nodes=1)


@pytest.fixture(autouse=True)
def nothing_is_left(cluster: Lesson) -> Iterator[None]:
    yield
    cluster.kubectl("delete", "pods,configmaps,secrets", "--all", "--grace-period=0", "--force")


def pod(name: str, container: dict[str, Any] | None = None, **spec: Any) -> str:
    main = {"name": "main", "image": "kubetm/app", **(container or {})}
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1, **spec},
    }
    return json.dumps(obj)


def mounting(volume: dict[str, Any]) -> dict[str, Any]:
    return {
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "volumes": [{"name": "v", **volume}],
    }


def status_of(cluster: Lesson, name: str) -> dict[str, Any]:
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    return statuses[0]


def waiting(cluster: Lesson, name: str, reason: str) -> dict[str, Any]:
    """Wait until the container waits for this reason; returns its status."""

    def check() -> dict[str, Any] | None:
        status = status_of(cluster, name)
        return status if (status.get("state") or {}).get("waiting", {}).get("reason") == reason else None

    return cluster.until(check, f"{reason} of {name}")


def event(cluster: Lesson, name: str, reason: str, text: str) -> str:
    """Wait for an Event about the pod; returns its message."""

    def check() -> str | None:
        selector = f"involvedObject.name={name},reason={reason}"
        found = cluster.get("events", "--field-selector", selector)["items"]
        return next((each["message"] for each in found if text in each["message"]), None)

    return cluster.until(check, f"{reason} about {name} with {text!r}")


def running(cluster: Lesson, name: str) -> dict[str, Any]:
    def check() -> dict[str, Any] | None:
        found = cluster.get("pod", name)
        return found if found["status"].get("phase") == "Running" else None

    return cluster.until(check, f"{name} to run")


def ended(cluster: Lesson, name: str, phase: str) -> dict[str, Any]:
    def check() -> dict[str, Any] | None:
        found = cluster.get("pod", name)
        return found if found["status"].get("phase") == phase else None

    return cluster.until(check, f"{name} to be {phase}")


def test_an_image_that_cannot_be_pulled_backs_off_and_runs_as_soon_as_it_is_loaded(
    cluster: Lesson, tmp_path: Path
) -> None:
    image = "127.0.0.1:9/team/late:1"
    cluster.apply(pod("late", {"image": image}))
    status = waiting(cluster, "late", "ErrImagePull")
    assert f'failed to pull image "{image}"' in status["state"]["waiting"]["message"]
    status = waiting(cluster, "late", "ImagePullBackOff")
    assert status["state"]["waiting"]["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    assert status["imageID"] == ""
    assert status["restartCount"] == 0
    event(cluster, "late", "Failed", f'Failed to pull image "{image}": ')
    event(cluster, "late", "Failed", "Error: ImagePullBackOff")
    event(cluster, "late", "BackOff", f'Back-off pulling image "{image}"')
    archive = docker_archive(tmp_path / "late.tar", [image], ["sleep", "1000000"])
    cluster.moorage("image", "load", str(archive))
    assert status_of(running(cluster, "late") and cluster, "late")["restartCount"] == 0


def test_a_name_that_is_no_image_is_said_to_be_none(cluster: Lesson) -> None:
    cluster.apply(pod("misnamed", {"image": "UPPER/Case:::x"}))
    status = waiting(cluster, "misnamed", "InvalidImageName")
    assert status["state"]["waiting"]["message"].startswith('Failed to apply default image tag "UPPER/Case:::x": ')
    event(cluster, "misnamed", "InspectFailed", "couldn't parse image name")
    event(cluster, "misnamed", "Failed", "Error: InvalidImageName")


def test_an_image_that_must_be_here_and_is_not_is_never_pulled(cluster: Lesson) -> None:
    cluster.apply(pod("absent", {"image": "kubetm/absent", "imagePullPolicy": "Never"}))
    status = waiting(cluster, "absent", "ErrImageNeverPull")
    assert status["state"]["waiting"]["message"] == (
        'Container image "kubetm/absent" is not present with pull policy of Never'
    )


def broken_archives(directory: Path) -> Iterator[Path]:
    good = docker_archive(directory / "good.tar", ["kubetm/broken:1"], ["sleep", "1"]).read_bytes()
    members = {member.name: content for member, content in read_members(good)}
    manifest = json.loads(members["manifest.json"])[0]

    def write(name: str, content: bytes) -> Path:
        (directory / name).write_bytes(content)
        return directory / name

    yield write("empty", b"")
    yield write("text", b"no archive at all\n" * 1000)
    yield write("cut-in-a-layer", good[: len(good) // 2])
    yield write("cut-in-a-header", good[:700])
    yield write("no-manifest", packed({k: v for k, v in members.items() if k != "manifest.json"}))
    yield write("manifest-is-no-json", packed({**members, "manifest.json": b"{"}))
    yield write("manifest-is-a-number", packed({**members, "manifest.json": b"3"}))
    yield write("no-layer", packed({k: v for k, v in members.items() if not k.endswith("layer.tar")}))
    yield write("no-config", packed({k: v for k, v in members.items() if k != manifest["Config"]}))
    config = json.loads(members[manifest["Config"]])
    config["rootfs"]["diff_ids"] = [f"sha256:{0:064x}"]
    yield write("other-layer", packed({**members, manifest["Config"]: json.dumps(config).encode()}))
    outside = {**manifest, "Layers": ["../../../../etc/passwd"]}
    yield write("layer-outside", packed({**members, "manifest.json": json.dumps([outside]).encode()}))


def read_members(content: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            yield member, file.read() if file else b""


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_broken_image_archives_are_refused_and_leave_nothing(cluster: Lesson, tmp_path: Path) -> None:
    before = cluster.moorage("image", "list")
    files = sorted(path.name for path in (cluster.directory / "state" / "images").glob("*/*"))
    for archive in broken_archives(tmp_path):
        output = cluster.moorage("image", "load", str(archive), code=1)
        assert archive.name in output, archive.name
        assert "Traceback" not in output, output
    assert cluster.moorage("image", "list") == before
    assert sorted(path.name for path in (cluster.directory / "state" / "images").glob("*/*")) == files


def test_a_command_that_is_not_in_the_image_fails_as_with_any_runtime(cluster: Lesson) -> None:
    text = 'exec: "/not/there": stat /not/there: no such file or directory'
    cluster.apply(pod("typo", {"command": ["/not/there"]}))
    status = waiting(cluster, "typo", "RunContainerError")
    assert text in status["state"]["waiting"]["message"]
    status = waiting(cluster, "typo", "CrashLoopBackOff")
    ended_state = status["lastState"]["terminated"]
    assert (ended_state["exitCode"], ended_state["reason"]) == (128, "StartError")
    assert text in ended_state["message"]
    assert status["restartCount"] == 1
    event(cluster, "typo", "Failed", text)
    event(cluster, "typo", "BackOff", "Back-off restarting failed container main in pod typo_default(")


def test_a_command_that_is_not_in_the_path_fails_a_pod_that_never_restarts(cluster: Lesson) -> None:
    cluster.apply(pod("once", {"command": ["no-such-command"]}, restartPolicy="Never"))
    status = ended(cluster, "once", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (status["exitCode"], status["reason"]) == (128, "StartError")
    assert 'exec: "no-such-command": executable file not found in $PATH' in status["message"]


def test_a_missing_config_map_in_the_environment_keeps_a_container_until_it_is_there(cluster: Lesson) -> None:
    variable = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}
    cluster.apply(pod("wants-config", {"env": [variable]}))
    status = waiting(cluster, "wants-config", "CreateContainerConfigError")
    assert status["state"]["waiting"]["message"] == 'configmap "settings" not found'
    event(cluster, "wants-config", "Failed", 'Error: configmap "settings" not found')
    cluster.kubectl("create", "configmap", "settings", "--from-literal=b=2")
    status = waiting(cluster, "wants-config", "CreateContainerConfigError")
    message = "couldn't find key a in ConfigMap default/settings"
    cluster.until(lambda: status_of(cluster, "wants-config")["state"]["waiting"]["message"] == message, message)
    cluster.kubectl("patch", "configmap", "settings", "-p", '{"data":{"a":"1"}}')
    running(cluster, "wants-config")
    assert cluster.kubectl("exec", "wants-config", "--", "sh", "-c", "echo $A").strip() == "1"


def test_a_missing_secret_in_a_volume_keeps_a_pod_until_it_is_there(cluster: Lesson) -> None:
    cluster.apply(pod("wants-secret", **mounting({"secret": {"secretName": "password"}})))
    event(
        cluster, "wants-secret", "FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "password" not found'
    )
    assert status_of(cluster, "wants-secret")["state"]["waiting"]["reason"] == "ContainerCreating"
    cluster.kubectl("create", "secret", "generic", "password", "--from-literal=word=open")
    running(cluster, "wants-secret")
    assert cluster.kubectl("exec", "wants-secret", "--", "cat", "/v/word") == "open"


def test_a_kind_of_volume_that_is_not_supported_is_named(cluster: Lesson) -> None:
    cluster.apply(pod("nfs", **mounting({"nfs": {"server": "files.example", "path": "/a"}})))
    text = event(cluster, "nfs", "FailedMount", "volumes of type nfs are not supported by this node")
    assert text.startswith("Unable to attach or mount volumes: unmounted volumes=[v]")
    assert cluster.get("pod", "nfs")["status"]["phase"] == "Pending"


def test_what_a_node_cannot_do_is_refused_by_name(cluster: Lesson) -> None:
    cluster.apply(pod("watcher", hostPID=True))
    event(cluster, "watcher", "FailedCreatePodSandBox", "hostPID is not supported by this node")
    assert cluster.get("pod", "watcher")["status"]["phase"] == "Pending"


def test_root_is_refused_where_a_pod_must_not_be_root(cluster: Lesson) -> None:
    cluster.apply(pod("nobody", securityContext={"runAsNonRoot": True}))
    status = waiting(cluster, "nobody", "CreateContainerConfigError")
    assert "container has runAsNonRoot and image will run as root" in status["state"]["waiting"]["message"]


def test_a_link_in_a_volume_does_not_lead_out_of_it(cluster: Lesson) -> None:
    place = cluster.directory / "linked"
    place.mkdir()
    (place / "out").symlink_to("/etc")
    mounts = [
        {"name": "v", "mountPath": "/v", "subPath": "out"},
        {"name": "v", "mountPath": "/w", "subPath": "made/new"},
    ]
    volumes = [{"name": "v", "hostPath": {"path": str(place)}}]
    cluster.apply(pod("climber", {"volumeMounts": mounts}, volumes=volumes))
    status = waiting(cluster, "climber", "CreateContainerConfigError")
    assert "it leads out of the volume" in status["state"]["waiting"]["message"]
    cluster.apply(pod("settler", {"volumeMounts": mounts[1:]}, volumes=volumes))
    running(cluster, "settler")
    cluster.kubectl("exec", "settler", "--", "touch", "/w/file")
    assert (place / "made" / "new" / "file").exists()


def test_a_vanished_volume_is_never_replaced_by_an_empty_one(cluster: Lesson) -> None:
    claim = manifests.CLAIM.replace("replica-pvc1", "precious")
    cluster.apply(claim)
    cluster.apply(pod("owner", **mounting({"persistentVolumeClaim": {"claimName": "precious"}})))
    running(cluster, "owner")
    cluster.kubectl("exec", "owner", "--", "touch", "/v/data")
    cluster.kubectl("delete", "pod", "owner")
    (volume,) = (path.parent for path in (cluster.directory / "state" / "volumes").glob("*/data/data"))
    volume = volume.parent
    cluster.apply(pod("owner", **mounting({"persistentVolumeClaim": {"claimName": "precious"}})))
    running(cluster, "owner")
    cluster.moorage("down")
    away = cluster.directory / "state" / "away"
    volume.rename(away)
    cluster.up()
    event(cluster, "owner", "FailedMount", str(volume))
    waiting(cluster, "owner", "ContainerCreating")
    assert not volume.exists()
    away.rename(volume)
    running(cluster, "owner")
    cluster.until(lambda: "data" in seen_in(cluster, "owner", "/v"), "the data")
    cluster.kubectl("delete", "pod", "owner", "--grace-period=0", "--force")
    cluster.kubectl("delete", "pvc", "precious")


def seen_in(cluster: Lesson, name: str, path: str) -> str:
    try:
        return cluster.kubectl("exec", name, "--", "ls", path)
    except AssertionError:
        return ""


def test_huge_lines_of_output_do_not_block_and_can_be_read(cluster: Lesson) -> None:
    script = "head -c 3000000 /dev/zero | busybox tr '\\0' x; echo; echo done"
    cluster.apply(pod("talker", {"command": ["sh", "-c", script]}, restartPolicy="Never"))
    ended(cluster, "talker", "Succeeded")
    lines = cluster.kubectl("logs", "talker").splitlines()
    assert [len(line) for line in lines] == [3_000_000, 4]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_for_the_files_of_pods_is_told_and_got_over(cluster: Lesson) -> None:
    (node,) = cluster.get("nodes")["items"]
    place = cluster.directory / "state" / "nodes" / "files" / node["metadata"]["name"] / "pods"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "moorage-test", str(place)], check=True)
    try:
        with pytest.raises(OSError, match="No space"):
            (place / "filler").write_bytes(bytes(1 << 20))
        cluster.kubectl("create", "configmap", "content", "--from-literal=a=1")
        cluster.apply(pod("squeezed", **mounting({"configMap": {"name": "content"}})))
        event(cluster, "squeezed", "FailedMount", "no space left on device")
        (place / "filler").unlink()
        running(cluster, "squeezed")
        cluster.kubectl("delete", "pod", "squeezed", "--grace-period=0", "--force")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
