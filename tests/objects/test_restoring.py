"""Faults of merged objects, in the words of Go's converter."""

import pytest

from moorage.objects.restoring import restore_fault
from moorage.objects.schema import type_from_structural, type_of


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"containers": [{"name": "c", "image": "i"}], "hostNetwork": True, "priority": 3}, ""),
        ({"containers": "x"}, "cannot restore slice from string"),
        ({"containers": [{"image": 5}]}, "cannot convert int64 to string"),
        ({"containers": [5]}, "cannot restore struct from: int64"),
        ({"priority": "3"}, "unrecognized type: int32"),
        ({"priority": 1.5}, "cannot convert float64 to int32"),
        ({"hostNetwork": "yes"}, "unrecognized type: bool"),
        ({"nodeSelector": ["a"]}, "cannot restore map from slice"),
        ({"nodeName": None}, ""),
        ("x", "cannot restore struct from: string"),
    ],
)
def test_the_first_fault_is_named_as_upstream_names_it(spec, fault):
    assert restore_fault(type_of("v1", "Pod"), {"metadata": {"name": "p"}, "spec": spec}) == fault


def test_custom_resources_have_no_structs():
    assert restore_fault(type_from_structural({"type": "object"}), {"spec": 1}) == ""
