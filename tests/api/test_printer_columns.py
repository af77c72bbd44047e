"""Custom resources show the columns that their definition asks for."""

from datetime import UTC, datetime

from moorage.api.printer_columns import printer_cells, printer_columns, values_at

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_paths_follow_fields_indexes_and_filters() -> None:
    obj = {"a": [{"t": "x", "v": 1}, {"t": "y", "v": 2}], "b.c": 3}
    assert values_at(obj, ".a[1].v") == [2]
    assert values_at(obj, ".a[?(@.t=='y')].v") == [2]
    assert values_at(obj, ".a[*].v") == [1, 2]
    assert values_at(obj, r".b\.c") == [3]
    assert values_at(obj, ".nope") == []


def test_a_value_of_another_type_than_its_column_is_left_out() -> None:
    columns = [{"name": "N", "type": "integer", "jsonPath": ".n"}, {"name": "S", "type": "string", "jsonPath": ".n"}]
    assert printer_cells(columns, {"metadata": {"name": "x"}, "n": "7"}, NOW) == ["x", None, "7"]


def test_without_columns_name_and_age_are_shown() -> None:
    assert [each[0] for each in printer_columns([])] == ["Name", "Age"]
    obj = {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:00:00Z"}}
    assert printer_cells([], obj, NOW) == ["x", "60m"]
