"""x-kubernetes-validations: rules in CEL on parts of an object. What they may say, and what they say of a value.

Differs from Kubernetes: lists of type set and map compare in the order in which they stand.
Source: apiextensions-apiserver pkg/apiserver/schema/cel, pkg/apis/apiextensions/validation (v1.37).
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from moorage.api.custom_resources.values import key_of
from moorage.objects.cel.checker import check
from moorage.objects.cel.escaping import escaped
from moorage.objects.cel.evaluation import evaluate
from moorage.objects.cel.moments import to_duration, to_timestamp
from moorage.objects.cel.syntax import CelError, Node, parse
from moorage.objects.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    list_of,
    map_of,
    object_of,
    optional_of,
)
from moorage.objects.cel.values import EvaluationError, Optional
from moorage.objects.errors import Cause
from moorage.objects.metadata import Object
from moorage.objects.validation import go_json, invalid

RULES: Final = "x-kubernetes-validations"

_METADATA: Final = object_of({"name": STRING, "generateName": STRING})
_NAMES: Final[Mapping[str, CelType]] = {"apiVersion": STRING, "kind": STRING, "metadata": _METADATA}
_SCALARS: Final[Mapping[str, CelType]] = {"boolean": BOOL, "number": DOUBLE, "integer": INT, "string": STRING}
_FORMATS: Final[Mapping[str, CelType]] = {
    "byte": BYTES,
    "duration": DURATION,
    "date": TIMESTAMP,
    "date-time": TIMESTAMP,
}

#: Causes after which the rules are not asked any more: the object is not what they were checked against.
_BLOCKING: Final = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_UNCHECKED: Final = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)

_NEW: Final = object()


def type_of_schema(schema: Object, *, is_root: bool = False) -> CelType | None:
    """Return the type that expressions see, None for what they cannot see."""
    if schema.get("x-kubernetes-int-or-string"):
        return DYN
    kind = schema.get("type") or ""
    if kind == "array":
        items = type_of_schema(schema.get("items") or {})
        return list_of(items) if items is not None else None
    if kind == "object":
        return _object_type(schema, is_root=is_root)
    if kind == "string":
        return _FORMATS.get(schema.get("format") or "", STRING)
    return _SCALARS.get(kind)


def _object_type(schema: Object, *, is_root: bool) -> CelType | None:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        inner = type_of_schema(values)
        return map_of(STRING, inner) if inner is not None else None
    fields = {escaped(name): type_of_schema(each) for name, each in (schema.get("properties") or {}).items()}
    known = {name: each for name, each in fields.items() if each is not None}
    if is_root or schema.get("x-kubernetes-embedded-resource"):
        known |= _NAMES
    return object_of(known)


def seen(schema: Object, value: Any, *, is_root: bool = False) -> Any:
    """Return a value as expressions see it. What does not fit its schema stays as it is."""
    if isinstance(value, Mapping):
        return _seen_object(schema, value, is_root=is_root)
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [seen(items, each) for each in value]
    kind = schema.get("type")
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "string" and isinstance(value, str) and schema.get("format"):
        return _seen_text(schema["format"], value)
    return value


def _seen_object(schema: Object, value: Object, *, is_root: bool) -> dict[str, Any]:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        return {key: seen(values, each) for key, each in value.items()}
    fields = schema.get("properties") or {}
    result = {escaped(key): seen(fields[key], each) for key, each in value.items() if key in fields}
    if is_root or schema.get("x-kubernetes-embedded-resource"):
        result |= {key: value[key] for key in _NAMES if key in value}
    return result


def _seen_text(form: str, value: str) -> Any:
    try:
        if form == "duration":
            return to_duration(value)
        if form == "date-time":
            return to_timestamp(value)
        if form == "date":
            return to_timestamp(f"{value}T00:00:00Z")
        return base64.b64decode(value) if form == "byte" else value
    except (EvaluationError, ValueError):
        return value


@dataclass(frozen=True, slots=True)
class Program:
    """One rule, ready to be asked. text: the rule as it is written; message: the expression of its message."""

    text: Object
    tree: Node
    message: Node | None
    needs_old: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a schema and of what is inside it; only parts that have some."""

    schema: Object
    programs: tuple[Program, ...] = ()
    properties: Mapping[str, "Rules"] = field(default_factory=dict)
    values: "Rules | None" = None
    items: "Rules | None" = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask."""
        return not (self.programs or self.properties or self.values or self.items)


def compiled_rules(schema: Object, *, is_root: bool = True) -> Rules:
    """Return the rules of a schema. Those that do not compile are left out: the definition would have been refused."""
    programs: list[Program] = []
    for written in schema.get(RULES) or ():
        try:
            programs.append(_program(schema, written, is_root=is_root))
        except CelError:
            continue
    inside = {name: compiled_rules(each, is_root=False) for name, each in (schema.get("properties") or {}).items()}
    return Rules(
        schema,
        tuple(programs),
        {name: each for name, each in inside.items() if not each.is_empty},
        _part(schema, "additionalProperties"),
        _part(schema, "items"),
    )


def _part(schema: Object, key: str) -> Rules | None:
    inner = schema.get(key)
    rules = compiled_rules(inner, is_root=False) if isinstance(inner, Mapping) else None
    return None if rules is None or rules.is_empty else rules


def _program(schema: Object, written: Object, *, is_root: bool) -> Program:
    """Compile a rule. Raises CelError, NotBool, NotText."""
    variables = _variables(schema, written, is_root=is_root)
    tree = parse(written["rule"])
    if check(written["rule"], tree, variables).name not in ("bool", "dyn"):
        raise NotBool(written["rule"], [])
    expression = written.get("messageExpression") or ""
    message = parse(expression) if expression else None
    if message is not None and check(expression, message, variables).name not in ("string", "dyn"):
        raise NotText(expression, [])
    return Program(written, tree, message, _names(tree, "oldSelf"))


class NotBool(CelError):
    """The rule is not a question."""


class NotText(CelError):
    """The message is no text."""


def _variables(schema: Object, written: Object, *, is_root: bool) -> Mapping[str, CelType]:
    self_type = type_of_schema(schema, is_root=is_root) or DYN
    return {"self": self_type, "oldSelf": optional_of(self_type) if written.get("optionalOldSelf") else self_type}


def _names(node: Node, name: str) -> bool:
    """Tell whether an expression names a variable."""
    if node.kind == "name":
        return bool(node.value == name)
    inside = node.args if node.operand is None else (*node.args, node.operand)
    return any(_names(each, name) for each in inside)


def rule_causes(rules: Rules, obj: Any, path: str = "", old: Any = _NEW) -> list[Cause]:
    """Return what the rules say against a value. old: what stood there before, if anything did."""
    return list(_judged(rules, obj, path, old, is_root=not path))


def with_rules(causes: list[Cause], rules: Rules, obj: Any, path: str = "", old: Any = _NEW) -> list[Cause]:
    """Return the causes and what rules add to them; rules are not asked about what has wrong types."""
    if rules.is_empty:
        return causes
    if any(cause.reason in _BLOCKING for cause in causes):
        return [*causes, Cause("FieldValueInvalid", _UNCHECKED, "<nil>")]
    return [*causes, *rule_causes(rules, obj, path, old)]


def _judged(rules: Rules, value: Any, path: str, old: Any, *, is_root: bool) -> Iterator[Cause]:
    if rules.programs:
        shown = seen(rules.schema, value, is_root=is_root)
        before = _NEW if old is _NEW else seen(rules.schema, old, is_root=is_root)
        for program in rules.programs:
            cause = _asked(program, shown, before, path)
            # What has not changed is not judged again, unless the rule is about changes.
            if cause is not None and (program.needs_old or old is _NEW or value != old):
                yield cause
    if isinstance(value, Mapping):
        atomic = rules.schema.get("x-kubernetes-map-type") == "atomic"
        olds = old if isinstance(old, Mapping) and not atomic else {}
        for name, each in value.items():
            inner = rules.properties.get(name) or rules.values
            if inner is not None and name in (rules.schema.get("properties") or {name: None}):
                yield from _judged(inner, each, f"{path}.{name}" if path else name, olds.get(name, _NEW), is_root=False)
    elif isinstance(value, list) and rules.items is not None:
        keys = rules.schema.get("x-kubernetes-list-map-keys") or ()
        known = {key_of(each, keys): each for each in old} if keys and isinstance(old, list) else {}
        for index, each in enumerate(value):
            before = known.get(key_of(each, keys), _NEW)
            yield from _judged(rules.items, each, f"{path}[{index}]", before, is_root=False)


def _asked(program: Program, value: Any, old: Any, path: str) -> Cause | None:
    written = program.text
    variables = {"self": value}
    if program.needs_old:
        if written.get("optionalOldSelf"):
            variables["oldSelf"] = Optional() if old is _NEW else Optional((old,))
        elif old is _NEW:
            return None
        else:
            variables["oldSelf"] = old
    try:
        if evaluate(program.tree, variables) is True:
            return None
    except EvaluationError as error:
        return invalid(path or "<nil>", _type_word(value), _failure(str(error), written))
    return _refusal(program, variables, value, path)


def _type_word(value: Any) -> str:
    words: Mapping[type, str] = {dict: "object", list: "array", bool: "boolean", int: "integer", float: "number"}
    return words.get(type(value), "string")


def _failure(error: str, written: Object) -> str:
    text = (written.get("message") or "").strip() or written["rule"].strip()
    if error.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {why}: {text}"
    if error.startswith("operation cancelled"):
        return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {text}"
    return f"{error} evaluating rule: {text}"


def _refusal(program: Program, variables: Mapping[str, Any], value: Any, path: str) -> Cause:
    written = program.text
    detail = _message_of(program, variables)
    where = f"{path}{written.get('fieldPath') or ''}".removeprefix(".") or "<nil>"
    reason = written.get("reason") or "FieldValueInvalid"
    if reason == "FieldValueForbidden":
        return Cause(reason, f"Forbidden: {detail}", where)
    if reason == "FieldValueRequired":
        return Cause(reason, f"Required value: {detail}", where)
    word = "Duplicate" if reason == "FieldValueDuplicate" else "Invalid"
    shown = f"{go_json(value)}: " if isinstance(value, str | int | float) else ""
    return Cause(reason, f"{word} value: {shown}{detail}", where)


def _message_of(program: Program, variables: Mapping[str, Any]) -> str:
    written = program.text
    if program.message is not None:
        try:
            found = evaluate(program.message, variables)
        except EvaluationError:
            found = ""
        if isinstance(found, str) and found.strip() and "\n" not in found:
            return found.strip()
    message: str = (written.get("message") or "").strip()
    return message or f"failed rule: {written['rule'].strip()}"


def expression_causes(schema: Object, path: str, *, is_root: bool = True, lost_at: str = "") -> list[Cause]:
    """Return why rules of a schema, and of what is inside it, do not compile.

    lost_at: the path of the list or map in which it cannot be told any more which old value belongs to which new one.
    """
    causes = [
        cause
        for index, written in enumerate(schema.get(RULES) or ())
        for cause in _compile_causes(schema, written, f"{path}.{RULES}[{index}]", is_root, lost_at)
    ]
    if isinstance(schema.get("additionalProperties"), Mapping):
        at = f"{path}.additionalProperties"
        causes += expression_causes(schema["additionalProperties"], at, is_root=False, lost_at=lost_at)
    atomic = path if schema.get("x-kubernetes-map-type") == "atomic" else ""
    for name, each in sorted((schema.get("properties") or {}).items()):
        at = f"{path}.properties[{name}]"
        causes += expression_causes(each, at, is_root=False, lost_at=lost_at or atomic)
    if isinstance(schema.get("items"), Mapping):
        unordered = "" if schema.get("x-kubernetes-list-type") == "map" else path
        causes += expression_causes(schema["items"], f"{path}.items", is_root=False, lost_at=lost_at or unordered)
    return causes


def _compile_causes(schema: Object, written: Object, at: str, is_root: bool, lost_at: str) -> Sequence[Cause]:  # noqa: FBT001
    if not (written.get("rule") or "").strip():
        return ()
    shown = _shown(written)
    try:
        program = _program(schema, written, is_root=is_root)
    except NotBool:
        return [_uncompiled(f"{at}.rule", shown, "cel expression must evaluate to a bool")]
    except NotText:
        return [_uncompiled(f"{at}.messageExpression", shown, "messageExpression must evaluate to a string")]
    except CelError as error:
        field_name = "rule" if _fails(schema, written, is_root=is_root) else "messageExpression"
        prefix = "" if field_name == "rule" else "messageExpression "
        return [_uncompiled(f"{at}.{field_name}", shown, f"{prefix}compilation failed: {error}")]
    if program.needs_old and lost_at:
        text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {lost_at}"
        return [invalid(f"{at}.rule", written["rule"], text)]
    return ()


def _fails(schema: Object, written: Object, *, is_root: bool) -> bool:
    """Tell whether it is the rule itself that does not compile, and not its message."""
    try:
        _program(schema, {**written, "messageExpression": ""}, is_root=is_root)
    except CelError:
        return True
    return False


def _uncompiled(path: str, shown: str, text: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {text}", path)


def _shown(written: Object) -> str:
    """Return a rule as Go's JSON writes it, which escapes what HTML would take for itself."""
    text = go_json(
        {
            "Rule": written.get("rule") or "",
            "Message": written.get("message") or "",
            "MessageExpression": written.get("messageExpression") or "",
            "Reason": written.get("reason"),
            "FieldPath": written.get("fieldPath") or "",
            "OptionalOldSelf": written.get("optionalOldSelf"),
        }
    )
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
