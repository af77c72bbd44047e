"""The environment variables of a container. Pure: what it reads is given.

Source: the pages "Define environment variables" and "Accessing Services"; kubelet's makeEnvironmentVariables (v1.37).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moorage.objects.metadata import Object, annotations_of, labels_of, metadata_of, name_of, namespace_of
from moorage.objects.quantity import parse_quantity

#: kind ("configmaps", "secrets") and name in the pod's namespace -> object, None if there is none.
Source = Callable[[str, str], Object | None]

_REFERENCE = re.compile(r"\$(?:\$|\(([^)$]*)\))")


class Missing(Exception):
    """Something that a container's environment needs is not there: a CreateContainerConfigError."""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) by the variable's value; unknown ones stay, $$ is a $."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return variables.get(name, match.group(0))

    return _REFERENCE.sub(value, text)


def environment_for(
    pod: Object, container: Object, source: Source, services: Iterable[Object], node: Mapping[str, str]
) -> dict[str, str]:
    """Return the container's variables: those of Services, envFrom, then env. Raises Missing.

    node: what the downward API needs beside the pod: "hostIP", "podIP", "cpu" and "memory" (the node's allocatable).
    """
    variables = service_variables(services, namespace_of(pod), links=pod["spec"].get("enableServiceLinks") is not False)
    for each in container.get("envFrom") or ():
        variables |= _from_source(each, source)
    own: dict[str, str] = {}
    for each in container.get("env") or ():
        if "valueFrom" in each:
            found = _from_field(each["valueFrom"], pod, container, source, node)
            if found is None:
                continue
            own[each["name"]] = found
        else:
            own[each["name"]] = expanded(each.get("value") or "", {**variables, **own})
    return {**variables, **own}


def _from_source(each: Object, source: Source) -> dict[str, str]:
    prefix = each.get("prefix") or ""
    for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        reference = each.get(field)
        if reference is None:
            continue
        obj = source(kind, reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise Missing(f'{kind[:-1].replace("map", "map")} "{reference["name"]}" not found')
        return {prefix + key: value for key, value in texts_of(obj).items()}
    return {}


def texts_of(obj: Object) -> dict[str, str]:
    """Return the data of a ConfigMap or Secret as text."""
    if obj.get("kind") != "Secret":
        return dict(obj.get("data") or {})
    import base64

    return {key: base64.b64decode(value).decode(errors="replace") for key, value in (obj.get("data") or {}).items()}


def _from_field(origin: Object, pod: Object, container: Object, source: Source, node: Mapping[str, str]) -> str | None:
    if field := origin.get("fieldRef"):
        return field_value(pod, field["fieldPath"], node)
    if resource := origin.get("resourceFieldRef"):
        return resource_value(pod, container, resource, node)
    for field_name, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if reference := origin.get(field_name):
            return _from_key(reference, kind, pod, source)
    return None


def _from_key(reference: Object, kind: str, pod: Object, source: Source) -> str | None:
    obj = source(kind, reference["name"])
    if obj is None:
        if reference.get("optional"):
            return None
        raise Missing(f'{kind[:-1]} "{reference["name"]}" not found')
    found = texts_of(obj).get(reference["key"])
    if found is None and not reference.get("optional"):
        where = f"{namespace_of(pod)}/{reference['name']}"
        shown = "ConfigMap" if kind == "configmaps" else "Secret"
        raise Missing(f"couldn't find key {reference['key']} in {shown} {where}")
    return found


def field_value(pod: Object, path: str, node: Mapping[str, str]) -> str:
    """Return what a fieldRef names, "" if the pod does not have it. Raises Missing for an unknown path."""
    metadata, spec = metadata_of(pod), pod["spec"]
    simple: Mapping[str, Any] = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": node["hostIP"],
        "status.hostIPs": node["hostIP"],
        "status.podIP": node.get("podIP", ""),
        "status.podIPs": node.get("podIP", ""),
    }
    if path in simple:
        return str(simple[path])
    for prefix, values in (("metadata.labels", labels_of(pod)), ("metadata.annotations", annotations_of(pod))):
        if path == prefix:
            return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))
        if path.startswith(f"{prefix}['") and path.endswith("']"):
            return str(values.get(path[len(prefix) + 2 : -2], ""))
    raise Missing(f"unsupported fieldPath: {path}")


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)


def resource_value(pod: Object, container: Object, reference: Object, node: Mapping[str, str]) -> str:
    """Return what a resourceFieldRef names, in units of its divisor, rounded up."""
    named = reference.get("containerName")
    if named:
        everyone = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
        container = next((each for each in everyone if each["name"] == named), container)
    part, _, name = reference["resource"].partition(".")
    amounts = (container.get("resources") or {}).get(part) or {}
    text = amounts.get(name) or (node.get(name, "0") if part == "limits" else "0")
    unit = parse_quantity(str(reference.get("divisor") or "1")).milli_value or 1000
    return str(-(-parse_quantity(str(text)).milli_value // unit))


def service_variables(services: Iterable[Object], namespace: str, *, links: bool) -> dict[str, str]:
    """Return the variables by which containers find Services: those of their namespace, and of the API always."""
    variables: dict[str, str] = {}
    for service in services:
        api = name_of(service) == "kubernetes" and namespace_of(service) == "default"
        if not api and not (links and namespace_of(service) == namespace):
            continue
        address = service["spec"].get("clusterIP") or "None"
        ports = service["spec"].get("ports") or ()
        if address != "None" and ports:
            variables |= _variables_of(name_of(service).upper().replace("-", "_"), address, ports)
    return variables


def _variables_of(prefix: str, address: str, ports: Iterable[Object]) -> dict[str, str]:
    ports = list(ports)
    result = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if name := port.get("name"):
            result[f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}"] = str(port["port"])
    first, kind = ports[0]["port"], ports[0].get("protocol", "TCP").lower()
    result[f"{prefix}_PORT"] = f"{kind}://{address}:{first}"
    for port in ports:
        kind = port.get("protocol", "TCP").lower()
        stem = f"{prefix}_PORT_{port['port']}_{kind.upper()}"
        result[stem] = f"{kind}://{address}:{port['port']}"
        result[f"{stem}_PROTO"], result[f"{stem}_PORT"] = kind, str(port["port"])
        result[f"{stem}_ADDR"] = address
    return result
