"""What pods tolerate."""

from moorage.api.kinds.pod_spec.affinity import validate_tolerations


def test_all_that_is_wrong_with_a_tolerated_value_is_one_cause() -> None:
    (cause,) = validate_tolerations("t", [{"key": "a", "operator": "Equal", "value": "-" * 64}])
    assert cause.field == "t[0].operator"
    assert "must be no more than 63 bytes;a valid label" in cause.message
