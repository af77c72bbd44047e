"""Tests of the warnings about pods and pod templates."""

import pytest

from moorage.api.kinds.pod_spec.warnings import spec_warnings, template_warnings


def ports(first, second, field="containers"):
    spec = {field: [{"name": "a", "ports": [first]}]}
    spec.setdefault("containers", []).append({"name": "b", "ports": [second]})
    return spec_warnings("spec", spec)


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ({}, {}, "duplicate"),
        ({"hostPort": 80}, {}, "overlapping"),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, "dangerously ambiguous"),
    ],
)
def test_ports_of_different_containers_get_in_each_others_way(first, second, how):
    texts = ports({"containerPort": 1, **first}, {"containerPort": 1, **second}, "initContainers")
    assert texts == [f"spec.containers[0].ports[0]: {how} port definition with spec.initContainers[0].ports[0]"]
    assert ports({"containerPort": 1, **first}, {"containerPort": 2, **second}) == []
    assert ports({"containerPort": 1, **first}, {"containerPort": 1, "protocol": "UDP", **second}) == []


def test_one_container_may_use_a_port_name_twice_but_not_two():
    named = {"containerPort": 1, "name": "http"}
    (text,) = ports(named, {**named, "containerPort": 2})
    assert text.startswith('spec.containers[1].ports[0]: duplicate port name "http" with spec.containers[0].ports[0]')


def test_a_template_is_warned_about_when_it_is_new_or_changed():
    template = {"spec": {"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "A"}]}]}}
    old = {"metadata": {"generation": 1}, "spec": {"template": template}}
    assert len(template_warnings(old, None)) == 1
    assert template_warnings(old, old) == []
    assert len(template_warnings({**old, "metadata": {"generation": 2}}, old)) == 1
