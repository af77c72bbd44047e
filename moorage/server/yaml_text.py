"""YAML as Kubernetes reads and writes it: YAML 1.1 as Go's yaml.v2 has it, turned into JSON values. Imports PyYAML lazily.

Differs from PyYAML's own safe loader: y and n are booleans, 1:30 and dates are text, 0o17 is octal, keys become text.
Source: sigs.k8s.io/yaml v1.6 with goyaml.v2/resolve.go.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_BOOLEANS: Final = {
    "y": True,
    "yes": True,
    "true": True,
    "on": True,
    "n": False,
    "no": False,
    "false": False,
    "off": False,
}
_BOOLEAN: Final = re.compile(
    r"^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$"
)
_INTEGER: Final = re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$")
_FLOAT: Final = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_DATE: Final = re.compile(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?$")
_NULL: Final = re.compile(r"^(?:~|null|Null|NULL|)$")

#: How many values more than bytes a document may have: without aliases there are never more values than bytes, with them
#: a small document could explode.
VALUES_MORE: Final = 50_000


#: Whole floats below this are written without a point or an exponent.
_WHOLE_MOST: Final = 1e21


class YamlFault(ValueError):
    """The text is no YAML, or no JSON can be made of it; the message is Go's."""


def load(text: bytes) -> tuple[Any, list[str]]:
    """Return the JSON value of the first document, and a line about each repeated key. Raises YamlFault."""
    import yaml

    loader = _loader_class()(text)
    loader.repeats = []
    try:
        value = loader.get_data() if loader.check_node() else None
        return _jsonable(value, [len(text) + VALUES_MORE]), loader.repeats
    except yaml.YAMLError as error:
        raise YamlFault(_said(error)) from error
    except RecursionError as error:
        raise YamlFault("yaml: exceeded max depth of 10000") from error
    finally:
        loader.dispose()


def dump(value: Any) -> bytes:
    """Return a JSON value as YAML text: keys in order of the alphabet, lists not indented."""
    import yaml

    text: str = yaml.dump(value, Dumper=_dumper_class(), sort_keys=True, allow_unicode=True, default_flow_style=False)
    return text.encode()


@cache
def _dumper_class() -> Any:
    """Make the dumper: it quotes what Go would take for something else than text."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Writes scalars so that Go reads them back."""

    _resolve_as_go(Dumper)
    Dumper.add_implicit_resolver("tag:yaml.org,2002:timestamp", _DATE, list("0123456789"))  # for other readers than Go
    return Dumper


def _resolve_as_go(kind: Any) -> None:
    """Give a loader or dumper Go's idea of which plain scalars are no text."""
    kind.yaml_implicit_resolvers = {}
    for tag, pattern, first in (
        ("bool", _BOOLEAN, list("yYtToOnNfF")),
        ("int", _INTEGER, list("-+0123456789")),
        ("float", _FLOAT, list("-+0123456789.")),
        ("null", _NULL, ["~", "n", "N", ""]),
        ("merge", re.compile(r"^(?:<<)$"), ["<"]),
    ):
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, first)


@cache
def _loader_class() -> Any:
    """Make the loader: the C parser where it exists, with Go's idea of scalars."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Reads scalars as Go does and notes repeated keys."""

        repeats: list[str]

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
            self.flatten_mapping(node)
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = _key_text(self.construct_object(key_node, deep=True))
                if key in result:
                    self.repeats.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
                result[key] = self.construct_object(value_node, deep=deep)
            return result

    _resolve_as_go(Loader)
    Loader.add_constructor("tag:yaml.org,2002:bool", lambda loader, node: _BOOLEANS[node.value.lower()])
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _integer(node.value))
    Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _float(node.value))
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)
    return Loader


def _integer(text: str) -> int | str:
    digits = text.replace("_", "")
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits.removeprefix("+"))
    try:
        if digits[:2] in ("0b", "0x", "0o"):
            return sign * int(digits, 0)
        return sign * (int(digits, 8) if len(digits) > 1 and digits[0] == "0" else int(digits))
    except ValueError:
        return text


def _float(text: str) -> float:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") in (".inf", ".nan"):
        raise YamlFault(f"json: unsupported value: {'NaN' if 'nan' in plain else '+Inf'}")
    return float(plain)


def _key_text(key: object) -> str:
    """Return a key as text, as JSON needs it."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return f"{key:g}" if isinstance(key, float) else str(key)
    if key is None:
        return "null"
    raise YamlFault(f"unsupported map key of type: {type(key).__name__}")


def _jsonable(value: Any, budget: list[int]) -> Any:
    """Return the value in JSON's types; aliases become copies."""
    budget[0] -= 1
    if budget[0] < 0:
        raise YamlFault("yaml: document contains excessive aliasing")
    if isinstance(value, Mapping):
        return {_key_text(key): _jsonable(each, budget) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each, budget) for each in value]
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_MOST:
        return int(value)  # as Go writes it
    return value if isinstance(value, str | int | float | type(None)) else str(value)


def _said(error: Exception) -> str:
    """Put a fault of libyaml in the words of Go's port of it."""
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line if mark is not None else 0
    if type(error).__name__ == "ScannerError":
        line += 1
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"
