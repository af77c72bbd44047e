"""Tests of the rules of metav1.Condition."""

import pytest

from moorage.objects.condition_rules import validate_conditions

RIGHT = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Done"}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"status": "Maybe"}, "status", "FieldValueNotSupported"),
        ({"lastTransitionTime": None}, "lastTransitionTime", "FieldValueRequired"),
        ({"reason": ""}, "reason", "FieldValueRequired"),
        ({"reason": "-a"}, "reason", "FieldValueInvalid"),
        ({"reason": "a" * 1025}, "reason", "FieldValueTooLong"),
        ({"message": "a" * 32769}, "message", "FieldValueTooLong"),
        ({"type": "a b"}, "type", "FieldValueInvalid"),
        ({"observedGeneration": -1}, "observedGeneration", "FieldValueInvalid"),
    ],
)
def test_a_broken_rule_is_told_where_it_is(change, field, reason):
    (cause,) = validate_conditions("status.conditions", [{**RIGHT, **change}])
    assert (cause.field, cause.reason) == (f"status.conditions[0].{field}", reason)


def test_types_are_there_once():
    assert validate_conditions("c", [RIGHT]) == []
    (cause,) = validate_conditions("c", [RIGHT, {**RIGHT, "type": "Other"}, RIGHT])
    assert (cause.field, cause.reason) == ("c[2].type", "FieldValueDuplicate")
