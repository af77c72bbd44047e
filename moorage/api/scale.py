"""The Scale of a workload: its wanted and its current number of pods, and which pods they are.

Source: pkg/registry/apps/*/storage (v1.37); for custom resources spec.versions[].subresources.scale.
"""

from collections.abc import Mapping
from typing import Any

from moorage.api.request import Draft
from moorage.objects.errors import InternalError
from moorage.objects.metadata import Object, metadata_of
from moorage.objects.selector_rules import labels_text, selector_text

#: The metadata that a Scale shares with its object.
_SHARED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object, paths: Mapping[str, str] | None = None, *, may_lack: bool = False) -> dict[str, Any]:
    """Return the autoscaling/v1 Scale of an object.

    paths: for custom resources where the numbers and the selector are (specReplicasPath, statusReplicasPath,
    labelSelectorPath), None for built-in kinds. Raises InternalError if the wanted number is missing there, unless it may.
    """
    if paths is None:
        wanted, current = _at(obj, ".spec.replicas"), _at(obj, ".status.replicas")
        selector = _built_in_selector((obj.get("spec") or {}).get("selector"))
    else:
        wanted, current = _at(obj, paths["specReplicasPath"]), _at(obj, paths["statusReplicasPath"])
        if wanted is None and not may_lack:
            text = f'the spec replicas field "{paths["specReplicasPath"]}" does not exist'
            raise InternalError(f"Internal error occurred: {text}", details={"causes": [{"message": text}]})
        selector = _at(obj, paths["labelSelectorPath"]) or "" if paths.get("labelSelectorPath") else ""
    metadata = metadata_of(obj)
    status: dict[str, Any] = {"replicas": current or 0}
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in _SHARED if field in metadata},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def with_scale(obj: Object, scale: Object, paths: Mapping[str, str] | None = None) -> Draft:
    """Return the object with the wanted number of pods of the Scale; nothing else changes."""
    path = ".spec.replicas" if paths is None else paths["specReplicasPath"]
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    draft = _with(obj, path.strip(".").split("."), replicas)
    draft["metadata"] = dict(metadata_of(obj))
    given = metadata_of(scale)
    if given.get("uid"):
        draft["metadata"]["uid"] = given["uid"]
    return draft


def _built_in_selector(selector: Mapping[str, Any] | None) -> str:
    if not selector:
        return ""
    if "matchLabels" in selector or "matchExpressions" in selector:
        return selector_text(selector)
    return labels_text(selector)


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for step in path.strip(".").split(".") if path else ():
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _with(obj: Object, steps: list[str], value: int) -> Draft:
    head, *rest = steps
    inner = obj.get(head)
    return {**obj, head: _with(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}
