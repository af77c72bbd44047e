"""Structural schemas: types everywhere, junctors without them, defaults that hold."""

from typing import Any

from moorage.api.custom_resources.structure import structural_causes


def said(**properties: Any) -> list[tuple[str, str]]:
    schema = {"type": "object", "properties": properties}
    return [(cause.field.removeprefix("s.properties"), cause.message) for cause in structural_causes(schema, "s")]


def test_every_field_has_a_type() -> None:
    assert said(a={"type": "string"}, b={"x-kubernetes-int-or-string": True}) == []
    assert said(a={"x-kubernetes-preserve-unknown-fields": True}) == []
    assert said(a={}) == [("[a].type", "Required value: must not be empty for specified object fields")]


def test_a_junctor_only_narrows() -> None:
    assert said(a={"type": "string", "anyOf": [{"pattern": "^a"}, {"maxLength": 3}]}) == []
    assert said(a={"type": "string", "not": {"type": "string"}}) == [
        ("[a].not.type", "Forbidden: must be empty to be structural")
    ]


def test_a_number_or_a_text_may_be_said_in_a_junctor() -> None:
    choice = [{"type": "integer"}, {"type": "string"}]
    assert said(a={"x-kubernetes-int-or-string": True, "anyOf": choice}) == []


def test_fields_of_junctors_are_declared_outside_of_them() -> None:
    nested = {"type": "object", "properties": {"x": {"type": "string"}}, "oneOf": [{"properties": {"y": {}}}]}
    assert [field for field, _ in said(a=nested)] == ["[a].properties[y]"]


def test_metadata_may_only_be_told_what_names_look_like() -> None:
    assert said(metadata={"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}) == []
    assert [field for field, _ in said(metadata={"type": "object", "properties": {"labels": {"type": "object"}}})] == [
        "[metadata]"
    ]
