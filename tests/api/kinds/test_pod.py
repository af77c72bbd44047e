"""Pods are judged as Kubernetes judges them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moorage.api.kinds import pod
from moorage.api.kinds.pod_spec.cells import cells
from moorage.api.request import SYSTEM, Request
from moorage.objects.kinds import builtin
from moorage.objects.quality import quality_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = Request(SYSTEM, "create", builtin("pods"), "default", "", NOW)
CONTAINER = {"name": "c", "image": "nginx", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}


def a_pod(**spec: Any) -> dict[str, Any]:
    basis = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30}
    return {"metadata": {"name": "p"}, "spec": {**basis, "containers": [CONTAINER], **spec}}


def test_a_plain_pod_is_right() -> None:
    assert pod.validate(a_pod(), REQUEST) == []


def test_a_mount_needs_its_volume() -> None:
    mounted = {**CONTAINER, "volumeMounts": [{"name": "nope", "mountPath": "/d"}]}
    causes = pod.validate(a_pod(containers=[mounted]), REQUEST)
    assert [str(cause) for cause in causes] == ['spec.containers[0].volumeMounts[0].name: Not found: "nope"']


def test_an_update_shows_what_changed_in_the_internal_form() -> None:
    (cause,) = pod.validate_update(a_pod(hostname="h"), a_pod(), REQUEST)
    assert cause.field == "spec"
    assert '- "Hostname": "",\n+ "Hostname": "h",\n' in cause.message


def test_an_image_may_change() -> None:
    assert pod.validate_update(a_pod(containers=[{**CONTAINER, "image": "other"}]), a_pod(), REQUEST) == []


@given(st.sampled_from(["1", "500m"]), st.sampled_from(["1Gi", "64Mi"]))
def test_equal_requests_and_limits_guarantee_quality(cpu: str, memory: str) -> None:
    amounts = {"cpu": cpu, "memory": memory}
    spec = {"containers": [{"resources": {"requests": amounts, "limits": amounts}}]}
    assert quality_for(spec) == "Guaranteed"
    assert quality_for({"containers": [{"resources": {"requests": amounts}}]}) == "Burstable"
    assert quality_for({"containers": [{"resources": {}}]}) == "BestEffort"


def test_a_row_tells_waiting_reason_and_when_it_restarted() -> None:
    status = {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "c",
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"finishedAt": "2025-12-31T23:55:00Z"}},
            }
        ],
    }
    row = cells({**a_pod(), "status": status}, NOW)
    assert row[:4] == ["p", "0/1", "CrashLoopBackOff", "2 (5m ago)"]
