"""What Go writes of an object that has nothing but metadata."""

import pytest

from moorage.server.zero_values import zero_values


@pytest.mark.parametrize(
    ("api_version", "kind", "values"),
    [
        ("v1", "ConfigMap", {}),
        ("v1", "Pod", {"spec": {"containers": None}, "status": {}}),
        ("v1", "PodTemplate", {"template": {"metadata": {}, "spec": {"containers": None}}}),
        ("v1", "Namespace", {"spec": {}, "status": {}}),
        ("example.com/v1", "Widget", {}),
    ],
)
def test_zero_values_are_those_of_the_go_type(api_version, kind, values):
    assert zero_values(api_version, kind) == values


def test_pointers_that_are_always_written_are_null():
    spec = zero_values("apps/v1", "Deployment")["spec"]
    assert spec == {"selector": None, "strategy": {}, "template": {"metadata": {}, "spec": {"containers": None}}}
