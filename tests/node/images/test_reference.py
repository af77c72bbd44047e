"""What image names mean, and which are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.node.images.reference import parse_reference
from moorage.node.runtimes.runtime import RuntimeFailure

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("host:5000/a/b/c", "host:5000/a/b/c:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest"),
    ],
)
def test_a_name_is_completed(text: str, normalised: str) -> None:
    assert str(parse_reference(text)) == normalised


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "invalid reference format"),
        ("Nginx", "repository name must be lowercase"),
        ("nginx:", "invalid reference format"),
        ("nginx:a b", "invalid reference format"),
        ("nginx@sha256:abc", "invalid reference format"),
        ("nginx@sha256:" + "a" * 40, "invalid checksum digest length"),
        ("a//b", "invalid reference format"),
        ("../../etc/passwd", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("x/" + "a" * 300, "more than 255"),
        ("host.io/a\n", "invalid reference format"),
    ],
)
def test_what_is_no_name_is_refused_in_kubelets_words(text: str, why: str) -> None:
    with pytest.raises(RuntimeFailure, match=f"(?s)couldn't parse image name .*{why}") as refused:
        parse_reference(text)
    assert refused.value.reason == "InvalidImageName"
    assert str(refused.value).startswith(f'Failed to apply default image tag "{text}": ')


@given(st.text(max_size=60))
def test_any_text_is_a_stable_name_or_refused(text: str) -> None:
    try:
        once = str(parse_reference(text))
    except RuntimeFailure:
        return
    assert str(parse_reference(once)) == once
