"""What the subresources `ephemeralcontainers` and `resize` of a pod may change, and how.

Source: pkg/registry/core/pod/strategy.go, pkg/apis/core/validation ValidatePodResize (v1.37).
"""

from collections.abc import Mapping
from typing import Any

from moorage.objects.errors import Cause
from moorage.objects.internal_form import difference_text, internal_form
from moorage.objects.quality import quality_for
from moorage.objects.validation import forbidden, invalid

Spec = Mapping[str, Any]

_RESIZED = ("cpu", "memory")


def with_ephemeral_containers(new: Spec, old: Spec) -> dict[str, Any]:
    """Return the old specification with the new ephemeral containers."""
    spec = {key: value for key, value in old.items() if key != "ephemeralContainers"}
    if new.get("ephemeralContainers"):
        spec["ephemeralContainers"] = new["ephemeralContainers"]
    return spec


def with_new_sizes(new: Spec, old: Spec) -> dict[str, Any]:
    """Return the old specification with the resources and resize policies of the new one, container by container."""
    spec = dict(old)
    for field in ("containers", "initContainers"):
        wanted = new.get(field) or []
        if len(wanted) != len(old.get(field) or []):
            spec[field] = wanted
            continue
        if wanted:
            spec[field] = [_resized(*pair) for pair in zip(wanted, old[field], strict=True)]
    if "resources" in new or "resources" in old:
        spec["resources"] = new.get("resources") or {}
    return spec


def _resized(new: Spec, old: Spec) -> dict[str, Any]:
    if new.get("name") != old.get("name"):
        return dict(new)
    container = {**old, "resources": new.get("resources") or {}}
    if "resizePolicy" in new:
        container["resizePolicy"] = new["resizePolicy"]
    return container


def validate_ephemeral_change(new: Spec, old: Spec) -> list[Cause]:
    """Return the causes of ephemeral containers that were there and are changed or gone."""
    path = "spec.ephemeralContainers"
    now = {each.get("name"): each for each in new.get("ephemeralContainers") or ()}
    causes = []
    for was in old.get("ephemeralContainers") or ():
        name = was.get("name")
        if name not in now:
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif now[name] != was:
            before, after = (internal_form("EphemeralContainer", each) for each in (was, now[name]))
            text = f'existing ephemeral containers "{name}" may not be changed\n{difference_text(before, after)}'
            causes.append(forbidden(path, text))
    return causes


def validate_resize(new: Spec, old: Spec) -> list[Cause]:
    """Return what of a pod's sizes may not change so."""
    if (old.get("os") or {}).get("name") == "windows":
        return [forbidden("[]", "windows pods cannot be resized")]
    causes: list[Cause] = []
    for field in ("containers", "initContainers"):
        if len(new.get(field) or ()) != len(old.get(field) or ()):
            return [forbidden(f"spec.{field}", "containers may not be added or removed on resize")]
        for index, (after, was) in enumerate(zip(new.get(field) or (), old.get(field) or (), strict=True)):
            if after.get("name") != was.get("name"):
                causes.append(
                    forbidden(f"spec.{field}[{index}].name", "containers may not be renamed or reordered on resize")
                )
            causes += _validate_removal(f"spec.{field}[{index}].resources", after, was)
    if causes:
        return causes
    quality = quality_for(old)
    if quality != quality_for(new):
        text = "Pod QOS Class may not change as a result of resizing"
        causes.append(invalid("spec", quality, text))
    if _without_sizes(new) != _without_sizes(old):
        causes.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return causes


def _validate_removal(path: str, new: Spec, old: Spec) -> list[Cause]:
    causes = []
    for kind, word in (("limits", "limits"), ("requests", "requests")):
        before = set((old.get("resources") or {}).get(kind) or ()) & set(_RESIZED)
        after = set((new.get("resources") or {}).get(kind) or ())
        if before - after:
            causes.append(forbidden(f"{path}.{kind}", f"resource {word} cannot be removed"))
    return causes


def _without_sizes(spec: Spec) -> list[Any]:
    parts = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ()), {"resources": spec.get("resources")}]
    return [
        {name: text for name, text in ((each.get("resources") or {}).get(kind) or {}).items() if name not in _RESIZED}
        for each in parts
        for kind in ("limits", "requests")
    ]
