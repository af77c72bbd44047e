"""Each check of the Pod Security Standards has its versions."""

from typing import Any

import pytest

from moorage.api.admission.pod_standards import violations


def reasons(
    level: str, version: str, spec: dict[str, Any], annotations: dict[str, str] | None = None, **context: Any
) -> list[str]:
    container = {"name": "c", "securityContext": context}
    found = violations(level, version, {"annotations": annotations or {}}, {"containers": [container], **spec})
    return [each.reason for each in found]


@pytest.mark.parametrize(
    ("version", "broken"),
    [
        ("v1.7", ["runAsNonRoot != true"]),
        ("v1.18", ["allowPrivilegeEscalation != false", "runAsNonRoot != true"]),
        ("v1.21", ["allowPrivilegeEscalation != false", "runAsNonRoot != true", "seccompProfile"]),
        (
            "v1.22",
            [
                "allowPrivilegeEscalation != false",
                "unrestricted capabilities",
                "runAsNonRoot != true",
                "seccompProfile",
            ],
        ),
        (
            "latest",
            [
                "allowPrivilegeEscalation != false",
                "unrestricted capabilities",
                "runAsNonRoot != true",
                "seccompProfile",
            ],
        ),
    ],
)
def test_an_old_version_asks_less(version: str, broken: list[str]) -> None:
    assert reasons("restricted", version, {}) == broken


@pytest.mark.parametrize(
    ("sysctl", "version"),
    [
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_fin_timeout", 29),
        ("net.ipv4.tcp_rmem", 32),
        ("net.ipv4.tcp_notsent_lowat", 37),
    ],
)
def test_a_sysctl_is_allowed_from_its_version_on(sysctl: str, version: int) -> None:
    spec = {"securityContext": {"sysctls": [{"name": sysctl, "value": "1"}]}}
    assert reasons("baseline", f"v1.{version - 1}", spec) == ["forbidden sysctls"]
    assert reasons("baseline", f"v1.{version}", spec) == []
    assert reasons("baseline", "v1.99", spec) == reasons("baseline", "latest", spec) == []


def test_users_of_their_own_relax_new_versions_only() -> None:
    own = {"hostUsers": False}
    assert "procMount" in reasons("baseline", "v1.34", own, procMount="Unmasked")
    assert "procMount" not in reasons("baseline", "v1.35", own, procMount="Unmasked")
    assert "procMount" in reasons("restricted", "v1.35", own, procMount="Unmasked")
    assert "runAsUser=0" in reasons("restricted", "v1.34", own, runAsUser=0)
    assert "runAsUser=0" not in reasons("restricted", "v1.35", own, runAsUser=0)


def test_seccomp_was_an_annotation() -> None:
    annotations = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert reasons("baseline", "v1.18", {}, annotations) == ["seccompProfile"]
    assert reasons("baseline", "v1.19", {}, annotations) == []


def test_fields_and_annotations_of_app_armor_are_told_together() -> None:
    annotations = {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}
    spec = {"containers": [{"name": "c", "securityContext": {"appArmorProfile": {"type": "Unconfined"}}}]}
    (found,) = violations("baseline", "latest", {"annotations": annotations}, spec)
    assert found.reason == "forbidden AppArmor profiles"
    assert found.detail == (
        'container "c" and annotation must not set AppArmor profile type to "Unconfined", '
        '"container.apparmor.security.beta.kubernetes.io/c="unconfined""'
    )
