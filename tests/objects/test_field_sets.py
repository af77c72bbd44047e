"""Sets of fields behave as sets of paths."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.objects.field_sets import (
    difference,
    from_path,
    has,
    intersection,
    is_member,
    key_step,
    path_text,
    paths,
    union,
    without,
)

steps = st.sampled_from(["f:a", "f:b", 'k:{"name":"c"}', 'v:"x"'])
path_sets = st.frozensets(st.lists(steps, min_size=1, max_size=3).map(tuple), max_size=6)


def set_of(members):
    fields = {}
    for path in members:
        node = fields
        for step in path:
            node = node.setdefault(step, {"-": None})
        node["."] = {}
    return clean(fields)


def clean(node):
    node = {step: clean(below) for step, below in node.items() if step != "-"}
    return {} if set(node) == {"."} else node


@given(path_sets, path_sets)
def test_operations_on_fields_are_those_on_paths(one, other):
    a, b = set_of(one), set_of(other)
    before = repr((a, b))
    assert set(paths(union(a, b))) == one | other
    assert set(paths(difference(a, b))) == one - other
    assert set(paths(intersection(a, b))) == one & other
    assert repr((a, b)) == before


@given(path_sets, path_sets)
def test_what_changes_nothing_returns_the_very_same_set(one, other):
    a, b = set_of(one), set_of(other - one)
    assert difference(a, b) is a
    assert set_of(one) == a


@given(path_sets, path_sets)
def test_without_takes_everything_below(one, other):
    kept = {path for path in one if not any(path[: len(prefix)] == prefix for prefix in other)}
    assert set(paths(without(set_of(one), set_of(other)))) == kept


def test_paths_read_as_upstream_writes_them():
    port = key_step(("containerPort", "protocol"), (80, "TCP"))
    assert path_text(("f:spec", port, "f:name")) == '.spec[containerPort=80,protocol="TCP"].name'
    assert path_text(("f:finalizers", 'v:"x"')) == '.finalizers[="x"]'


def test_one_field_can_be_named():
    replicas = from_path("spec", "replicas")
    assert replicas == {"f:spec": {"f:replicas": {}}}
    assert has(replicas, "spec", "replicas")
    assert not has(replicas, "spec")
    assert is_member({})
    assert not is_member({"f:a": {}})
