"""What schemas promise beyond single values: sets and keyed lists have no duplicates, embedded objects have metadata. Pure.

Source: apiextensions-apiserver pkg/apiserver/schema/{listtype,objectmeta} (v1.37).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moorage.api.custom_resources.values import key_of
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.object_meta import validate_object_meta
from moorage.objects.validation import dns1035_label_problems, duplicate, go_json, invalid, path_segment_problems


def invariant_causes(schema: Object, obj: Any, path: str = "") -> list[Cause]:
    """Return the causes of a whole object, or of its part at `path`."""
    return [*_embedded(schema, obj, path, is_root=not path), *_lists(schema, obj, path)]


def _lists(schema: Object, value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, list):
        yield from _list_causes(schema, value, path)
    for step, inner, each in _inside(schema, value, path):
        yield from _lists(inner, each, step)


def _list_causes(schema: Object, items: Sequence[Any], path: str) -> Iterator[Cause]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind not in ("set", "map"):
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        mark = go_json(item) if kind == "set" else key_of(item, keys)
        if mark in seen:
            shown = item if kind == "set" else {key: item[key] for key in keys if key in item}
            yield duplicate(f"{path}[{index}]", shown)
        seen.add(mark)


def _embedded(schema: Object, value: Any, path: str, *, is_root: bool) -> Iterator[Cause]:
    if not is_root and schema.get("x-kubernetes-embedded-resource") and isinstance(value, Mapping):
        yield from _embedded_causes(value, path)
    for step, inner, each in _inside(schema, value, path):
        yield from _embedded(inner, each, step, is_root=False)


def _embedded_causes(obj: Object, path: str) -> Iterator[Cause]:
    """Judge what is there; what is missing is required by the schema itself."""
    version, kind = obj.get("apiVersion"), obj.get("kind")
    if version == "":
        yield invalid(f"{path}.apiVersion", version, "must not be empty")
    elif isinstance(version, str) and version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    if kind == "":
        yield invalid(f"{path}.kind", kind, "must not be empty")
    elif isinstance(kind, str) and (problems := dns1035_label_problems(kind.lower())):
        text = f"may have mixed case, but should otherwise match: {','.join(problems)}"
        yield invalid(f"{path}.kind", kind, text)
    metadata = obj.get("metadata")
    if isinstance(metadata, Mapping):
        whole = {"name": "fakename", **metadata}
        yield from validate_object_meta(
            whole,
            namespaced=bool(metadata.get("namespace")),
            name_rule=path_segment_problems,
            path=f"{path}.metadata",
        )


def _inside(schema: Object, value: Any, path: str) -> Iterator[tuple[str, Object, Any]]:
    """Yield the parts of a value with their schemas and paths."""
    if isinstance(value, Mapping):
        fields, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, each in value.items():
            inner = fields.get(name, others)
            if isinstance(inner, Mapping):
                yield (f"{path}.{name}" if path else name), inner, each
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, each in enumerate(value):
            yield f"{path}[{index}]", schema["items"], each
