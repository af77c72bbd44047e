"""Small parts of device claims, classes and slices: selectors, configurations, names, taints, tolerations.

Source: pkg/apis/resource/validation (v1.37).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from moorage.api.kinds.devices.selectors import validate_expression
from moorage.api.kinds.pod_spec.volumes import validate_csi_driver_name
from moorage.objects.errors import Cause
from moorage.objects.validation import (
    c_identifier_problems,
    dns1123_subdomain_problems,
    duplicate,
    each_invalid,
    invalid,
    label_value_problems,
    not_supported,
    one_of,
    qualified_name_problems,
    required,
    too_long,
    too_many,
    validate_caseless_subdomain,
)

Part = Mapping[str, Any]

SELECTORS_MOST = CONFIGS_MOST = REQUESTS_MOST = CONSTRAINTS_MOST = 32
TOLERATIONS_MOST = TAINTS_MOST = 16
PARAMETERS_MOST = 10240
NAME_MOST, POOL_MOST, DRIVER_MOST = 32, 253, 63

_EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPERATORS = ("Equal", "Exists")
_KNOWN_NAME = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"


def validate_selectors(path: str, selectors: Sequence[Part]) -> list[Cause]:
    """Return every broken rule of device selectors."""
    if len(selectors) > SELECTORS_MOST:
        return [too_many(path, len(selectors), SELECTORS_MOST)]
    causes: list[Cause] = []
    for index, selector in enumerate(selectors):
        place, cel = f"{path}[{index}].cel", selector.get("cel")
        if cel is None:
            causes.append(required(place))
        else:
            causes += validate_expression(f"{place}.expression", cel.get("expression") or "")
    return causes


def validate_driver(path: str, name: str) -> list[Cause]:
    """Return the causes of a driver's name."""
    if not name:
        return [required(path)]
    causes = [too_long(path, DRIVER_MOST, "characters")] if len(name) > DRIVER_MOST else []
    return causes + each_invalid(path, name, dns1123_subdomain_problems(name))


def validate_caseless_driver(path: str, name: str) -> list[Cause]:
    """Return the causes of a driver's name where capital letters are allowed."""
    if not name:
        return [required(path)]
    return (
        [too_long(path, DRIVER_MOST, "characters")]
        if len(name) > DRIVER_MOST
        else validate_caseless_subdomain(path, name)
    )


def validate_configs(path: str, configs: Sequence[Part], names: Collection[str] | None) -> list[Cause]:
    """Return every broken rule of configurations; `names` are the requests that they may be for, None in a class."""
    if len(configs) > CONFIGS_MOST:
        return [too_many(path, len(configs), CONFIGS_MOST)]
    causes: list[Cause] = []
    for index, config in enumerate(configs):
        place = f"{path}[{index}]"
        if names is not None:
            causes += validate_request_names(f"{place}.requests", config.get("requests") or (), names)
        causes += _validate_opaque(f"{place}.opaque", config.get("opaque"))
    return causes


def _validate_opaque(path: str, opaque: Part | None) -> list[Cause]:
    if opaque is None:
        return [required(path)]
    parameters = opaque.get("parameters")
    causes = validate_caseless_driver(f"{path}.driver", opaque.get("driver") or "")
    if parameters is None:
        causes.append(required(f"{path}.parameters"))
    elif not isinstance(parameters, dict):
        causes.append(invalid(f"{path}.parameters", "<value omitted>", "must be a valid JSON object"))
    return causes


def validate_request_names(path: str, requests: Sequence[str], names: Collection[str]) -> list[Cause]:
    """Return the causes of references to requests that are not in the claim, or stand twice."""
    if len(requests) > REQUESTS_MOST:
        return [too_many(path, len(requests), REQUESTS_MOST)]
    causes: list[Cause] = []
    for index, name in enumerate(requests):
        if name not in names:
            causes.append(invalid(f"{path}[{index}]", name, _KNOWN_NAME))
        if name in requests[:index]:
            causes.append(duplicate(f"{path}[{index}]", name))
    return causes


def validate_full_name(path: str, text: str) -> list[Cause]:
    """Return the causes of an attribute's name that is not `domain/name`."""
    if not text:
        return [required(path, "name required")]
    domain, slash, name = text.partition("/")
    if not slash or "/" in name:
        return [invalid(path, text, "a fully qualified name must be a domain and a name separated by a slash")]
    causes: list[Cause] = []
    if domain:
        causes += validate_csi_driver_name(path, domain)
    else:
        causes.append(invalid(path, "", "the domain must not be empty"))
    if not name:
        return [*causes, invalid(path, "", "the name must not be empty")]
    return causes + _validate_identifier(path, name)


def validate_name(path: str, text: str) -> list[Cause]:
    """Return the causes of an attribute's or a capacity's name: `name` or `domain/name`."""
    if not text:
        return [required(path, "name required")]
    return validate_full_name(path, text) if "/" in text else _validate_identifier(path, text)


def _validate_identifier(path: str, name: str) -> list[Cause]:
    causes = [too_long(path, NAME_MOST)] if len(name) > NAME_MOST else []
    return causes + each_invalid(path, name, c_identifier_problems(name))


def validate_pool(path: str, name: str) -> list[Cause]:
    """Return the causes of a pool's name: DNS subdomains, parted by slashes."""
    if not name:
        return [required(path)]
    if len(name) > POOL_MOST:
        return [too_long(path, POOL_MOST)]
    causes: list[Cause] = []
    for part in name.split("/"):
        causes += each_invalid(path, part, dns1123_subdomain_problems(part))
    return causes


def validate_taint(path: str, taint: Part) -> list[Cause]:
    """Return every broken rule of a device's taint."""
    effect, key = taint.get("effect") or "", taint.get("key") or ""
    causes = each_invalid(f"{path}.key", key, qualified_name_problems(key))
    if value := taint.get("value"):
        causes += each_invalid(f"{path}.value", value, label_value_problems(value))
    return causes + one_of(f"{path}.effect", effect, _EFFECTS)


def validate_tolerations(path: str, tolerations: Sequence[Part]) -> list[Cause]:
    """Return every broken rule of tolerations for devices."""
    if len(tolerations) > TOLERATIONS_MOST:
        return [too_many(path, len(tolerations), TOLERATIONS_MOST)]
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        causes += _validate_toleration(f"{path}[{index}]", toleration)
    return causes


def _validate_toleration(path: str, toleration: Part) -> list[Cause]:
    causes: list[Cause] = []
    operator, value = toleration.get("operator") or "", toleration.get("value") or ""
    if key := toleration.get("key"):
        causes += each_invalid(f"{path}.key", key, qualified_name_problems(key))
    if operator == "Exists":
        if value:
            causes.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        causes += each_invalid(f"{path}.value", value, label_value_problems(value))
    else:
        place = f"{path}.operator"
        causes.append(not_supported(place, operator, _OPERATORS) if operator else required(place))
    effect = toleration.get("effect")
    if effect and effect not in _EFFECTS:
        causes.append(not_supported(f"{path}.effect", effect, _EFFECTS))
    return causes
