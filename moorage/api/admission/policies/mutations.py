"""What a mutation makes of an object: by an apply configuration, or by a JSON patch.

Source: apiserver/pkg/admission/plugin/policy/mutating/patch, apiserver/pkg/cel/mutation (v1.37).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moorage.api.admission.policies.evaluation import Failed
from moorage.objects.cel.values import Struct, type_name
from moorage.objects.errors import StatusError
from moorage.objects.json_patch import json_patch
from moorage.objects.metadata import Object
from moorage.objects.schema import ANY, Type
from moorage.objects.typed_values import is_declared, merge_values, problems_of

_SCALARS: Final = (str, int, float, bool)


def applied(obj: Object, configuration: Any, type_: Type | None) -> Object:
    """Return the object with an apply configuration on top. Raises Failed."""
    _check_names(configuration)
    patch = {**_plain(configuration), "apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    type_ = type_ or ANY
    if found := problems_of(type_, patch):
        text = found[0] if len(found) == 1 else "\n  ".join(("errors:", *found))
        raise Failed(f"error applying patch: failed to convert patch object to typed object: {text}")
    if atomic := list(_atomics(type_, patch, "")):
        text = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise Failed(f"error applying patch: invalid ApplyConfiguration: {text}")
    merged: Object = merge_values(type_, obj, patch)
    return merged


def _check_names(value: Any) -> None:
    """Refuse objects that are of another type than their place inside the outermost one asks for. Raises Failed."""
    if isinstance(value, Struct) and (problems := list(_misnamed(value, tuple(value.kind.split("."))))):
        raise Failed("type mismatch: " + "\n".join(problems))


def _misnamed(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield which objects inside a value are not of the type that their place asks for."""
    if isinstance(value, Struct):
        if value.kind != ".".join(path):
            wanted = f'expected "{".".join(path)}", which matches field name path from root Object type'
            yield f'unexpected type name "{value.kind}", {wanted}'
        for name, each in value.items():
            yield from _misnamed(each, (*path, name))
    elif isinstance(value, list | Mapping):
        for each in value if isinstance(value, list) else value.values():
            yield from _misnamed(each, path)


def _atomics(type_: Type, value: Any, path: str) -> Iterator[str]:
    """Yield the paths of what could only be replaced as a whole: it would lose what it does not name."""
    if isinstance(value, Mapping) and type_.kind in ("object", "map", "any"):
        if type_.map_type == "atomic":
            yield path
        for name, each in value.items():
            if is_declared(type_, name):
                yield from _atomics(type_.fields[name], each, f"{path}.{name}")
    elif isinstance(value, list) and type_.kind in ("list", "any"):
        if type_.list_type == "atomic" or type_.kind == "any":
            yield path
        for index, each in enumerate(value):
            yield from _atomics(type_.items or ANY, each, f"{path}[{index}]")


def _plain(value: Any) -> Any:
    """Return a value of an expression as JSON. Raises Failed."""
    if value is None or isinstance(value, _SCALARS):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise Failed(f"map key {key} is of type {type_name(key)}, not string")
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    raise Failed(f"a value of type {type_name(value)} could not be written as JSON")


def patched(obj: Object, operations: list[Any]) -> Object:
    """Return the object after a JSON patch; as it is if a test fails. Raises Failed in the words of json-patch."""
    current: Any = obj
    for operation in [_operation(each) for each in operations]:
        try:
            current = json_patch(current, [operation])
        except StatusError as error:
            if operation["op"] == "test" and _is_there(current, operation["path"]):
                return obj
            raise Failed(f"JSON Patch: {_fault(current, operation, error)}") from None
    return dict(current)


def _operation(value: Any) -> dict[str, Any]:
    _check_names(value.get("value"))
    operation = {"op": value.get("op", ""), "path": value.get("path", "")}
    if value.get("from"):
        operation["from"] = value["from"]
    if "value" in value:
        operation["value"] = _plain(value["value"])
    return operation


def _place(document: Any, path: str) -> tuple[Any, str]:
    """Return the container that a path leads into and the last step; None if the way is missing."""
    steps = [each.replace("~1", "/").replace("~0", "~") for each in path.split("/")]
    here = document if len(steps) > 1 else None
    for step in steps[1:-1]:
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            here = None
    return (here if isinstance(here, Mapping | list) else None), steps[-1]


def _is_there(document: Any, path: str) -> bool:
    return not path or _place(document, path)[0] is not None


def _fault(document: Any, operation: Mapping[str, Any], error: StatusError) -> str:
    """Return why an operation does not apply."""
    op, path = operation["op"], operation["path"]
    if op not in ("add", "remove", "replace", "move", "copy", "test"):
        return f"Unexpected kind: {op}"
    if op in ("move", "copy"):
        source = operation.get("from", "")
        if _place(document, source)[0] is None:
            return f"{op} operation does not apply: doc is missing from path: {source}: missing value"
    container, key = _place(document, path)
    if container is None:
        if op == "test":
            return f"test operation does not apply: is missing path: {path}: missing value"
        shown = f'"{path}"' if op in ("add", "remove") else path
        what = "destination path" if op in ("move", "copy") else "path"
        return f"{op} operation does not apply: doc is missing {what}: {shown}: missing value"
    if isinstance(container, Mapping):
        if op in ("remove", "move"):
            return f"error in {op} for path: '{path}': Unable to remove nonexistent key: {key}: missing value"
        return error.message
    if not key.lstrip("+-").isdigit():
        return f"error in {op} for path: '{path}': value was not a proper array index: '{key}'"
    return f"error in {op} for path: '{path}': Unable to access invalid index: {key}: invalid index referenced"
