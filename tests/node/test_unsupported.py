"""What a pod asks for and does not get is refused or told."""

from typing import Any

import pytest

from moorage.node.unsupported import refusals, shortcomings


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", **(container or {})}], **spec}}


def test_a_plain_pod_gets_all_that_it_asks_for() -> None:
    assert refusals(pod()) == []
    assert shortcomings(pod({"ports": [{"containerPort": 80}]})) == []


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (pod(hostPID=True), "hostPID"),
        (pod(hostIPC=True), "hostIPC"),
        (pod(os={"name": "windows"}), "Windows"),
        (pod({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}), "volumeDevices of container c"),
        (
            pod({"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}]}),
            "mountPropagation Bidirectional of container c",
        ),
    ],
)
def test_what_would_make_it_another_pod_is_refused(asked: dict[str, Any], named: str) -> None:
    assert refusals(asked) == [f"{named} is not supported by this node"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (pod(runtimeClassName="other"), "runtimeClassName other"),
        (pod(hostUsers=False), "hostUsers"),
        (pod({"ports": [{"containerPort": 80, "hostPort": 8080}]}), "hostPort 8080 of container c"),
        (pod(securityContext={"seccompProfile": {"type": "Localhost"}}), "seccompProfile"),
        (pod({"securityContext": {"procMount": "Unmasked"}}), "procMount"),
    ],
)
def test_what_it_can_do_without_is_told(asked: dict[str, Any], named: str) -> None:
    (text,) = shortcomings(asked)
    assert text.startswith(named)
    assert refusals(asked) == []
