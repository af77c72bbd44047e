"""JSON patches (RFC 6902): add, remove, replace, move, copy and test, one after the other, all or none.

Only containers along a patched path are copied, each at most once a patch; everything else is shared with the current
object. Deviations from the RFC are upstream's: `replace` of a missing member adds it, indexes may be negative, a path
without a leading slash loses its first step, an operation without a value means null.
Source: gopkg.in/evanphx/json-patch.v4 and apiserver/pkg/endpoints/handlers/patch.go (v1.37).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from moorage.objects.errors import BadRequest, Invalid, TooLarge
from moorage.objects.go_values import go_type

#: How many operations one patch may have. Source: maxJSONPatchOperations of apiserver.
OPERATIONS_MOST: Final = 10_000

#: How many bytes the copies of one patch may add, against documents that double with each operation.
COPIED_BYTES_MOST: Final = 3 * 1024 * 1024

#: The members that an operation has, in the order in which upstream decodes them.
_MEMBERS: Final = ("op", "from", "path", "value")

_INDEX: Final = re.compile(r"[+-]?[0-9]+")
_JSON_NAMES: Final = {
    "map[string]interface {}": "object",
    "[]interface {}": "array",
    "string": "string",
    "bool": "bool",
}


def json_patch(current: Any, operations: Any) -> Any:
    """Return what the operations make of the current document, which is not changed.

    Raises BadRequest when this is no list of operations, TooLarge over a limit, Invalid when one does not apply.
    """
    return _Document(current).apply(_checked(operations))


def unknown_members(operations: Any) -> list[str]:
    """Return what fieldValidation says about members that no operation has: `json patch unknown field "[0].comment"`."""
    if not isinstance(operations, list):
        return []
    return [
        f'json patch unknown field "[{index}].{member}"'
        for index, operation in enumerate(operations)
        if isinstance(operation, Mapping)
        for member in operation
        if member not in _MEMBERS
    ]


def does_not_apply() -> Invalid:
    """Return the error for a patch that does not fit the object; upstream does not say why."""
    return Invalid("the server rejected our request due to an error in our request", details={})


def _checked(operations: Any) -> Sequence[Mapping[str, Any]]:
    if operations is None:
        return ()
    if not isinstance(operations, list):
        raise _cannot_decode(operations, "Go value of type []handlers.jsonPatchOp")
    for operation in operations:
        if operation is None:
            continue
        if not isinstance(operation, Mapping):
            raise _cannot_decode(operation, "Go value of type handlers.jsonPatchOp")
        for member in ("op", "from", "path"):
            value = operation.get(member)
            if value is not None and not isinstance(value, str):
                raise _cannot_decode(value, f"Go struct field jsonPatchOp.{member} of type string")
    if len(operations) > OPERATIONS_MOST:
        raise TooLarge(
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{OPERATIONS_MOST}, got {len(operations)}"
        )
    return operations


def _cannot_decode(value: Any, target: str) -> BadRequest:
    kind = _JSON_NAMES.get(go_type(value), "number")
    return BadRequest(f"error decoding patch: json: cannot unmarshal {kind} into {target}")


class _Document:
    """A document under patching: knows which containers are its own copies already."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._own: dict[int, Any] = {}
        self._copied_bytes = 0

    def apply(self, operations: Sequence[Mapping[str, Any]]) -> Any:
        """Perform the operations in order. Raises Invalid."""
        for operation in operations:
            name, path = (operation or {}).get("op"), (operation or {}).get("path")
            if path is None:
                raise does_not_apply()
            match name:
                case "add":
                    self._add(path, operation.get("value"))
                case "remove":
                    self._remove(path)
                case "replace":
                    self._replace(path, operation.get("value"))
                case "move":
                    self._add(path, self._remove(_source(operation)))
                case "copy":
                    self._add(path, self._copied(_source(operation)))
                case "test":
                    self._test(path, operation.get("value"))
                case _:
                    raise does_not_apply()
        return self._root

    def _owned(self, container: Any) -> Any:
        """Return the container if it is our copy, else a copy."""
        if id(container) in self._own:
            return container
        copied = dict(container) if isinstance(container, Mapping) else list(container)
        self._own[id(copied)] = copied
        return copied

    def _place(self, path: str, *, to_change: bool) -> tuple[Any, str]:
        """Return the container that a path leads into, and the last step. Copies along the path if it will change."""
        steps = path.split("/")
        if len(steps) < 2:
            raise does_not_apply()
        if to_change:
            self._root = self._owned(_container(self._root))
        here = self._root
        for step in map(_decoded, steps[1:-1]):
            there = _container(_get(here, step))
            if to_change:
                there = self._owned(there)
                here[step if isinstance(here, dict) else _index(step, len(here))] = there
            here = there
        return here, _decoded(steps[-1])

    def _add(self, path: str, value: Any) -> None:
        container, key = self._place(path, to_change=True)
        if isinstance(container, dict):
            container[key] = value
        elif key == "-":
            container.append(value)
        else:
            container.insert(_index(key, len(container) + 1), value)

    def _remove(self, path: str) -> Any:
        container, key = self._place(path, to_change=True)
        if isinstance(container, dict):
            if key not in container:
                raise does_not_apply()
            return container.pop(key)
        return container.pop(_index(key, len(container)))

    def _replace(self, path: str, value: Any) -> None:
        if path == "":
            self._root = _container(value)
            return
        container, key = self._place(path, to_change=True)
        container[key if isinstance(container, dict) else _index(key, len(container))] = value

    def _copied(self, path: str) -> Any:
        """Return the value to copy. It may be shared: a later change copies what it touches, unless it is ours."""
        container, key = self._place(path, to_change=False)
        encoded = orjson.dumps(_get(container, key))
        self._copied_bytes += len(encoded)
        if self._copied_bytes > COPIED_BYTES_MOST:
            raise does_not_apply()
        return orjson.loads(encoded)

    def _test(self, path: str, value: Any) -> None:
        if path == "":
            found = self._root
        else:
            container, key = self._place(path, to_change=False)
            found = _get(container, key)
        if not is_equal(found, value):
            raise does_not_apply()


def is_equal(one: Any, other: Any) -> bool:
    """Tell whether two decoded JSON values are the same; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    return bool(one == other)


def _source(operation: Mapping[str, Any]) -> str:
    source = operation.get("from")
    if source is None:
        raise does_not_apply()
    return str(source)


def _decoded(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _container(value: Any) -> Any:
    if not isinstance(value, (Mapping, list)):
        raise does_not_apply()
    return value


def _get(container: Any, key: str) -> Any:
    """Return a member (null if it is missing) or an item (which must be there)."""
    if isinstance(container, Mapping):
        return container.get(key)
    return container[_index(key, len(container))]


def _index(text: str, length: int) -> int:
    """Read an index into `length` places; negative ones count from the end. Raises Invalid."""
    if not _INDEX.fullmatch(text):
        raise does_not_apply()
    index = int(text)
    if not -length <= index < length:
        raise does_not_apply()
    return index + length if index < 0 else index
