"""Values held against a schema: what of them is not allowed. Pure; order and texts are upstream's.

With an old value, what has not changed is not judged again (ratcheting), so that a schema may become stricter while
objects of yesterday can still be changed elsewhere.
Source: kube-openapi pkg/validation/validate, apiextensions-apiserver pkg/apiserver/validation/{validation,ratcheting}.go (v1.37).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from moorage.api.custom_resources.formats import INTEGERS, is_of_format, known_format
from moorage.objects.errors import Cause
from moorage.objects.go_values import go_text
from moorage.objects.metadata import Object
from moorage.objects.patterns import BadPattern, compiled
from moorage.objects.validation import go_json, invalid, not_supported, required, too_long, type_invalid

#: There is no old value.
_NEW: Final = object()

#: Where an error stands that belongs to no field.
_NOWHERE: Final = "<nil>"


class _Fault(NamedTuple):
    """One thing that is wrong. at: the path inside the value; kind: how it is told (see `_told`)."""

    kind: str
    at: str = ""
    value: Any = ""
    text: str = ""
    more: Any = None


class _Judged(NamedTuple):
    """The faults of a value, and how many checks were made: alternatives are told apart by it."""

    faults: list[_Fault]
    checks: int


def value_causes(schema: Object, value: Any, path: str = "", old: Any = _NEW) -> list[Cause]:
    """Return what the schema does not allow of a value. path: where it stands, "" for a whole object.

    old: what stood there before, if anything did.
    """
    return [_told(fault, path) for fault in _judge(schema, value, "", old).faults]


def _told(fault: _Fault, path: str) -> Cause:
    field = fault.at if not path else f"{path}.{fault.at}" if fault.at else path
    if fault.kind == "required":
        return required(field)
    if fault.kind == "enum":
        return not_supported(
            field, fault.value, [each if isinstance(each, str) else go_json(each) for each in fault.more]
        )
    if fault.kind == "too long":
        return too_long(field, fault.more)
    if fault.kind == "too many":
        return Cause("FieldValueTooMany", f"Too many: {fault.value}: must have at most {fault.more} items", field)
    if fault.kind == "type":
        return type_invalid(field, fault.value, fault.text)
    if fault.kind == "general":
        return invalid(path or _NOWHERE, "", fault.text)
    return invalid(field or _NOWHERE, fault.value, fault.text)


def _judge(schema: Object, value: Any, at: str, old: Any) -> _Judged:
    if old is not _NEW and value == old:
        return _Judged([], 1)
    form = known_format(schema.get("format") or "")
    if value is None:
        return _Judged([*_type_faults(schema, form, value, at), *_enum_faults(schema, value, at)], 2)
    faults = list(_type_faults(schema, form, value, at))
    branches = _branch_faults(schema, value, at)
    faults += branches.faults
    checks = branches.checks + 3
    if isinstance(value, str):
        faults += _text_faults(schema, value, at)
        if form and form not in INTEGERS and not is_of_format(value, form):
            faults.append(_Fault("type", at, value, f"{at} in body must be of type {form}: {_quoted(value)}"))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        faults += _number_faults(schema, form, value, at)
    elif isinstance(value, list):
        items = _list_judged(schema, value, at, old)
        faults, checks = faults + items.faults, checks + items.checks
    faults += _enum_faults(schema, value, at)
    if isinstance(value, Mapping):
        inside = _object_judged(schema, value, at, old)
        faults, checks = faults + inside.faults, checks + inside.checks
    return _Judged(faults, checks)


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _types_of(schema: Object) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    kind = schema.get("type")
    return (kind,) if kind else ()


def _type_faults(schema: Object, form: str, value: Any, at: str) -> Iterable[_Fault]:
    types, kind = _types_of(schema), _kind_of(value)
    if value is None:
        if types and not schema.get("nullable"):
            yield _wrong_type(at, ",".join(types), "null")
        return
    if not types and not form:
        return
    fits = kind in types or (kind == "integer" and "number" in types)
    fits = fits or (isinstance(value, float) and value.is_integer() and "integer" in types)
    is_text = isinstance(value, str | list)
    if not is_text and form:
        native = {"integer": "int64", "number": "float64"}.get(kind, "")
        if not fits and native != form:
            yield _wrong_type(at, form, native)
        return
    if form and is_text and "number" not in types and "integer" not in types:
        return
    if types and not fits:
        yield _wrong_type(at, ",".join(types), kind)


def _wrong_type(at: str, wanted: str, found: str) -> _Fault:
    return _Fault("type", at, found, f"{at} in body must be of type {wanted}: {_quoted(found)}")


def _quoted(text: str) -> str:
    return go_json(text)


def _enum_faults(schema: Object, value: Any, at: str) -> Iterable[_Fault]:
    allowed = schema.get("enum")
    if allowed and not any(_is_equal(value, each) for each in allowed):
        yield _Fault("enum", at, value, more=allowed)


def _is_equal(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same; in Python true is also 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _text_faults(schema: Object, value: str, at: str) -> Iterable[_Fault]:
    most, least = schema.get("maxLength"), schema.get("minLength")
    if most is not None and len(value) > most:
        yield _Fault("too long", at, value, more=most)
    if least is not None and len(value) < least:
        yield _Fault("invalid", at, value, f"{at} in body should be at least {least} chars long")
    if pattern := schema.get("pattern"):
        try:
            matches = compiled(pattern).search(value) is not None
        except BadPattern:
            matches = False
        if not matches:
            yield _Fault("invalid", at, value, f"{at} in body should match '{pattern}'")


def _number_faults(schema: Object, form: str, value: float, at: str) -> Iterable[_Fault]:
    if _types_of(schema) == ("integer",):
        low, high = INTEGERS.get(form, INTEGERS["int64"])
        if not float(value).is_integer() or not low <= value <= high:
            how = f"with format {form}" if form else "(default format)"
            yield _Fault("general", text=f"Checked value must be of type integer {how} in {at}")
    factor, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    if factor is not None and not _is_multiple(value, factor):
        yield _Fault("invalid", at, value, f"{at} in body should be a multiple of {_bound(value, factor)}")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        how = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _Fault("invalid", at, value, f"{at} in body should be {how} {_bound(value, most)}")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        how = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _Fault("invalid", at, value, f"{at} in body should be {how} {_bound(value, least)}")


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and isinstance(factor, int):
        return factor != 0 and value % factor == 0
    return factor != 0 and float(value / factor).is_integer()


def _bound(value: float, bound: float) -> str:
    """Return how a limit is shown beside a value: whole beside whole numbers."""
    return str(int(bound)) if isinstance(value, int) and float(bound).is_integer() else go_text(bound)


def _list_judged(schema: Object, value: Sequence[Any], at: str, old: Any) -> _Judged:
    faults: list[_Fault] = []
    checks = 0
    items = schema.get("items")
    if isinstance(items, Mapping):
        before = _old_items(schema, old)
        for index, item in enumerate(value):
            judged = _judge(items, item, f"{at}[{index}]", before(item))
            faults, checks = faults + judged.faults, checks + judged.checks
    most, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        faults.append(_Fault("invalid", at, len(value), f"{at} in body should have at least {least} items"))
    if most is not None and len(value) > most:
        faults.append(_Fault("too many", at, len(value), more=most))
    return _Judged(faults, checks)


def _old_items(schema: Object, old: Any) -> Any:
    """Return what finds an item's old value: only lists of type map tell which that is."""
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map" or not keys:
        return lambda _: _NEW
    known = {key_of(each, keys): each for each in old}
    return lambda item: known.get(key_of(item, keys), _NEW)


def key_of(item: Any, keys: Sequence[str]) -> str:
    """Return what tells an item of a list of type map from others."""
    return go_json([item.get(key) for key in keys] if isinstance(item, Mapping) else [])


def _object_judged(schema: Object, value: Object, at: str, old: Any) -> _Judged:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        return _Judged([_Fault("invalid", at, len(value), f"{at} in body should have at least {least} properties")], 0)
    if most is not None and len(value) > most:
        return _Judged([_Fault("too many", at, len(value), more=most)], 0)
    needed = list(schema.get("required") or ())
    if schema.get("x-kubernetes-embedded-resource"):
        needed += [name for name in ("apiVersion", "kind") if name not in needed]
    faults = [_Fault("required", _step(at, name)) for name in needed if name not in value]
    checks = 0
    before = old if isinstance(old, Mapping) and schema.get("x-kubernetes-map-type") != "atomic" else {}
    fields, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in sorted(value):
        inner = fields.get(name, others if isinstance(others, Mapping) else None)
        if inner is None:
            continue
        judged = _judge(inner, value[name], _step(at, name), before.get(name, _NEW))
        faults, checks = faults + judged.faults, checks + judged.checks
    return _Judged(faults, checks)


def _step(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _branch_faults(schema: Object, value: Any, at: str) -> _Judged:
    """Judge by anyOf, oneOf, allOf and not. Of failing alternatives the one that came farthest is told."""
    faults: list[_Fault] = []
    checks = 0
    if (branches := schema.get("anyOf")) and not _is_type_choice(schema, branches):
        judged = [_judge(each, value, at, _NEW) for each in branches]
        good = next((each for each in judged if not each.faults), None)
        if good is None:
            faults.append(_Fault("general", text=f'"{at}" must validate at least one schema (anyOf)'))
            good = max(judged, key=lambda each: each.checks)
        faults, checks = faults + good.faults, checks + good.checks
    if branches := schema.get("oneOf"):
        judged = [_judge(each, value, at, _NEW) for each in branches]
        count = sum(not each.faults for each in judged)
        if count != 1:
            found = f"Found {count} valid alternatives" if count else "Found none valid"
            faults.append(_Fault("general", text=f'"{at}" must validate one and only one schema (oneOf). {found}'))
        if not count:
            faults += max(judged, key=lambda each: each.checks).faults
    if branches := [each for each in schema.get("allOf") or () if not _is_type_choice(schema, each.get("anyOf"))]:
        judged = [_judge(each, value, at, _NEW) for each in branches]
        wrong = [fault for each in judged for fault in each.faults]
        if wrong:
            none = ". None validated" if all(each.faults for each in judged) else ""
            faults += [*wrong, _Fault("general", text=f'"{at}" must validate all the schemas (allOf){none}')]
    if isinstance(schema.get("not"), Mapping) and not _judge(schema["not"], value, at, _NEW).faults:
        faults.append(_Fault("general", text=f'"{at}" must not validate the schema (not)'))
    return _Judged(faults, checks)


def _is_type_choice(schema: Object, branches: Any) -> bool:
    """Tell whether these alternatives only repeat that the value is an integer or a text."""
    return bool(schema.get("x-kubernetes-int-or-string")) and branches == [{"type": "integer"}, {"type": "string"}]
