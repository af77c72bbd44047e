"""Tests of the annotations that mean something to pods."""

import pytest

from moorage.api.kinds.pod_spec.annotations import SECCOMP_CONTAINER, SECCOMP_POD, validate_pod_annotations


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ("runtime/default", None),
        ("docker/default", None),
        ("localhost/a/b", None),
        ("x", "must be a valid seccomp profile"),
        ("localhost//a", "must be a relative path"),
        ("localhost/a/../b", "must not contain '..'"),
    ],
)
def test_old_seccomp_profiles_must_be_right(profile, why):
    annotations = {f"{SECCOMP_CONTAINER}c": profile, SECCOMP_POD: profile}
    causes = validate_pod_annotations("metadata.annotations", annotations, {})
    assert [cause.message.partition('": ')[2] for cause in causes] == ([why, why] if why else [])
    assert not causes or causes[0].field == f"metadata.annotations.{SECCOMP_POD}"
