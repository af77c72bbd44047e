"""runAsNonRoot is kept, or the container is not started."""

from typing import Any

import pytest

from moorage.node.identity_policy import check_user


def check(image_user: str, pod_wide: dict[str, Any] | None = None, **security: Any) -> None:
    container = {"name": "c", "securityContext": security}
    metadata = {"name": "p", "namespace": "ns", "uid": "u"}
    pod = {"metadata": metadata, "spec": {"containers": [container], "securityContext": pod_wide or {}}}
    check_user(pod, container, image_user)


@pytest.mark.parametrize("user", ["", "0", "0:0", "root", "nobody"])
def test_anybody_may_run_where_nobody_asks(user: str) -> None:
    check(user)


@pytest.mark.parametrize(
    ("image_user", "security", "text"),
    [
        ("", {}, "container has runAsNonRoot and image will run as root"),
        ("0:1000", {}, "container has runAsNonRoot and image will run as root"),
        ("nobody", {}, "container has runAsNonRoot and image has non-numeric user (nobody), cannot verify"),
        ("1000", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ],
)
def test_root_and_names_are_refused(image_user: str, security: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is checked below
        check(image_user, {"runAsNonRoot": True}, **security)
    assert str(refused.value).startswith(text)
    assert '(pod: "p_ns(u)", container: c)' in str(refused.value)


def test_numbers_other_than_0_may_run() -> None:
    check("1000", runAsNonRoot=True)
    check("", {"runAsNonRoot": True}, runAsUser=1000)
    check("", {"runAsNonRoot": True}, runAsNonRoot=False)
